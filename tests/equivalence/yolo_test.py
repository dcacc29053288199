"""Five steps of YOLO lead where darknet's arithmetic leads: deltas, backward pass, momentum, decay of kernels alone."""

import numpy as np
import pytest

from jaxvision.models import yolo as models
from jaxvision.models.yolo import YOLO, Convolution, Dense, Net
from jaxvision.tasks.yolo import yolo
from jaxvision.train.optim import Optimizer
from tests.equivalence.darknet import Grid, Network, detection_layer, truth_of
from tests.equivalence.steps import STEPS, Arrays, assert_losses, assert_variables, damped, drawn, five_steps, photos

ROWS, SIZE, OBJECTS = 3, 24, 2
GRID = Grid(side=3, boxes=2, classes=4)
LR, MOMENTUM, DECAY = 0.001, 0.9, 5e-4
LAYERS = "conv1", "conv2", "fc1", "predictions"


def batch_of(seed: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    corners, sides = (generator.uniform(low, high, (ROWS, OBJECTS, 2)) for low, high in ((0, 14), (4, 10)))
    return {
        "image": photos(ROWS, SIZE, SIZE, seed),
        "size": np.full((ROWS, 2), SIZE, np.float32),
        "scale": np.ones(ROWS, np.float32),
        "boxes": np.concatenate([corners, corners + sides], -1).astype(np.float32),
        "labels": generator.integers(1, GRID.classes + 1, (ROWS, OBJECTS)).astype(np.int32),
        "valid": np.ones((ROWS, OBJECTS), bool),
        "ignore": np.zeros((ROWS, OBJECTS), bool),
    }


def darknets_losses(network: Network, batches: list[dict[str, np.ndarray]]) -> list[float]:
    losses = []
    for batch in batches:
        outputs = network.forward(batch["image"] / 255)
        truths = [truth_of(b, n, SIZE, GRID) for b, n in zip(batch["boxes"], batch["labels"], strict=True)]
        found = [detection_layer(o, t, GRID, 5.0, 0.5) for o, t in zip(outputs, truths, strict=True)]
        network.backward(np.stack([delta for delta, _ in found]))
        network.update(LR, MOMENTUM, DECAY, ROWS)
        losses.append(float(np.mean([loss for _, loss in found])))
    return losses


def arrays(network: Network) -> Arrays:
    return {("params", name, leaf): v for name, layer in network.layers.items() for leaf, v in layer.items()}


def test_yolo_steps_as_darknet(monkeypatch: pytest.MonkeyPatch):
    """With its real parts around two convolutions: the trunk, the layers that see the whole image, the grid."""
    net = Net((Convolution(4, 3, pool=True), Convolution(6, 3, pool=True)), 2, (Dense(8),))
    monkeypatch.setitem(models.NETS, "two", net)
    model = YOLO(GRID.classes + 1, "two", GRID.side, GRID.boxes, stride=8)
    optimizer = Optimizer(lr=LR, momentum=MOMENTUM, weight_decay=DECAY)
    task = yolo(model, optimizer.make(STEPS), mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0))
    batches = [batch_of(seed) for seed in range(STEPS)]
    run = five_steps(task, damped(drawn(task, batches[0]), {"predictions/kernel": 0.1}), batches)
    start = run.states[0].params
    network = Network({name: {leaf: np.asarray(v) for leaf, v in start[name].items()} for name in LAYERS})
    assert_losses(run.losses(), darknets_losses(network, batches))
    assert_variables(run, arrays(network))


def test_darknets_backward_pass_is_the_slope_of_half_of_the_squares():
    """The reference itself: along a random direction, by finite differences."""
    generator = np.random.default_rng(0)
    shapes = {"conv1": (3, 3, 3, 2), "conv2": (3, 3, 2, 3), "fc1": (3 * 4, 5), "predictions": (5, 4)}
    layers = {n: {"kernel": generator.normal(size=s), "bias": generator.normal(size=s[-1])} for n, s in shapes.items()}
    x, wanted = generator.normal(size=(2, 8, 8, 3)), generator.normal(size=(2, 4))

    def cost(step: float) -> float:
        moved = {n: {k: v + step * way[n][k] for k, v in layer.items()} for n, layer in layers.items()}
        return 0.5 * ((wanted - Network(moved).forward(x)) ** 2).sum()

    way = {n: {k: generator.normal(size=v.shape) for k, v in layer.items()} for n, layer in layers.items()}
    network = Network(layers)
    network.backward(wanted - network.forward(x))
    slope = -sum((way[n][k] * v).sum() for n, layer in network.updates.items() for k, v in layer.items())
    np.testing.assert_allclose((cost(1e-6) - cost(-1e-6)) / 2e-6, slope, rtol=1e-5)
