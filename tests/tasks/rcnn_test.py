"""Features of windows against the network on each, and detections against a plain reference; devices agree."""

from functools import partial

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import launch
from jaxvision.evals.detection import iou
from jaxvision.ops.boxes import decode
from jaxvision.ops.images import normalise
from jaxvision.tasks import rcnn
from jaxvision.tasks.classification import classification
from jaxvision.tasks.rcnn import Look, Reported, Warping
from jaxvision.train import devices
from jaxvision.train.optim import Optimizer
from tests.tasks.training import ONE, train

GREY = (120.0, 120.0, 120.0)
CLASSES = 2


class Net(nn.Module):
    """A map of 2×2 and its mean."""

    num_classes: int | None = None

    @nn.compact
    def __call__(self, x, *, train: bool):
        layer = nn.relu(nn.Conv(6, (4, 4), (4, 4), padding=((0, 0), (0, 0)), name="conv1")(x))
        outputs = {"layer": layer, "pool": layer.mean((1, 2))}
        if self.num_classes:
            outputs["logits"] = nn.Dense(self.num_classes, name="fc")(outputs["pool"])
        return outputs


def look_of(at_once: int = 4) -> Look:
    return Look(Net(), Warping(8, 1), GREY, GREY, "pool", "layer", at_once)


def batch_of(images: int = 2, windows: int = 10) -> dict:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 20, (images, windows, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(4, 12, (images, windows, 2))], axis=-1).astype(np.float32)
    real = np.arange(windows)[None] < np.array([[windows - 1], [3], [0], [windows]])[:images]
    return {
        "image": rng.integers(0, 256, (images, 32, 32, 3), np.uint8),
        "size": np.full((images, 2), 32.0, np.float32),
        "proposals": boxes * real[..., None],
        "proposal_valid": real,
    }


@pytest.mark.parametrize("at_once", [3, 4, 10, 64])
def test_features_are_the_networks_on_each_window_whatever_goes_through_together(at_once: int):
    look, batch = look_of(at_once), batch_of()
    variables = look.init(jax.random.PRNGKey(0))
    arrays = [jnp.asarray(batch[key]) for key in ("image", "proposals", "proposal_valid")]
    machine, regressor = jax.jit(look.features)(variables, *arrays)
    assert machine.shape == (2, 10, look.widths()[0]) and regressor.shape == (2, 10, look.widths()[1]) == (2, 10, 24)
    windows = look.pixels(arrays[0], arrays[1])
    apply = jax.jit(partial(look.model.apply, train=False))
    for image, window in zip(*np.nonzero(batch["proposal_valid"]), strict=True):
        alone = apply(variables, normalise(windows[image, window][None], GREY, GREY))
        np.testing.assert_allclose(machine[image, window], alone["pool"][0], atol=1e-5)
        np.testing.assert_allclose(regressor[image, window], alone["layer"].ravel(), atol=1e-5)


def test_parts_without_any_window_are_not_looked_at():
    look, batch = look_of(2), batch_of()
    variables = look.init(jax.random.PRNGKey(0))
    real = np.zeros((2, 10), bool)
    real[0, :3] = True
    machine, _ = jax.jit(look.features)(
        variables, *(jnp.asarray(a) for a in (batch["image"], batch["proposals"], real))
    )
    assert np.asarray(machine[:, :4]).any() and not np.asarray(machine[:, 4:]).any()


def test_tuning_is_classification_of_the_windows():
    look, rng = look_of(), np.random.default_rng(1)
    batch = {key: jnp.asarray(value) for key, value in batch_of(4).items()}
    batch |= {"boxes": batch["proposals"][:, :1], "labels": jnp.array([[0], [1], [2], [1]], jnp.int32)}
    batch["boxes"] = jnp.asarray(np.sort(rng.uniform(0, 32, (4, 1, 2, 2)), axis=2).reshape(4, 1, 4), jnp.float32)
    plain = classification(Net(3), Optimizer(lr=0.1).make(4), mean=GREY, std=GREY)
    task = rcnn.on_windows(plain, look.pixels)
    windows = {"image": look.pixels(batch["image"], batch["boxes"])[:, 0], "label": batch["labels"][:, 0]}
    chex.assert_trees_all_close(train(task, batch, 3), train(plain, windows, 3), atol=1e-6)
    state, _ = train(task, batch, 1)
    found = devices.compile_predict(task, ONE)(state, batch)
    np.testing.assert_array_equal(found["windows"], windows["image"])
    assert found["probabilities"].shape == (4, 3)


def detector(numbers: Reported):
    """A detector whose heads are drawn at random."""
    task, batch = rcnn.rcnn(look_of(), CLASSES, numbers), batch_of(4)
    state = jax.jit(task.init)(jax.random.PRNGKey(0), batch)
    rng = np.random.default_rng(2)
    heads = jax.tree.map(lambda p: jnp.asarray(rng.normal(size=p.shape) * 0.3, jnp.float32), state.params)
    return task, state.replace(params={**heads, "network": state.params["network"]}), batch


def reference(state, batch: dict, image: int, moved: bool, numbers: Reported) -> list[tuple[float, int, np.ndarray]]:
    look, params = look_of(), jax.tree.map(np.asarray, state.params)
    variables = {"params": params["network"]}
    arrays = [jnp.asarray(batch[key]) for key in ("image", "proposals", "proposal_valid")]
    machine, regressor = (np.asarray(f[image]) for f in jax.jit(look.features)(variables, *arrays))
    found = []
    for c in range(CLASSES):
        scores = machine @ params["svm"]["kernel"][:, c] + params["svm"]["bias"][c]
        offsets = regressor @ params["regression"]["kernel"][c] + params["regression"]["bias"][c]
        boxes = np.asarray(decode(jnp.asarray(offsets * moved), jnp.asarray(batch["proposals"][image]))).clip(0, 32)
        kept: list[tuple[float, int, np.ndarray]] = []
        real = [row for row in np.argsort(-scores, kind="stable") if batch["proposal_valid"][image, row]]
        for row in real[: numbers.of_class or None]:
            fits = scores[row] > numbers.min_score
            if fits and all(iou(boxes[row][None], k[None])[0, 0] <= numbers.nms_iou for _, _, k in kept):
                kept.append((float(scores[row]), c + 1, boxes[row]))
        found += kept
    return sorted(found, key=lambda one: -one[0])[: numbers.detections]


@pytest.mark.parametrize(
    "numbers",
    [Reported(), Reported(min_score=0.1, nms_iou=0.1), Reported(detections=3), Reported(of_class=2, detections=9)],
)
def test_detections_are_the_machines_best_within_each_class(numbers: Reported):
    task, state, batch = detector(numbers)
    outputs = devices.compile_predict(task, ONE)(state, batch)
    for name, moved in (("moved", True), ("unmoved", False)):
        found = outputs if moved else outputs["unmoved"]
        for image in range(4):
            expected = reference(state, batch, image, moved, numbers)
            real = found["valid"][image]
            assert real.sum() == len(expected), name
            np.testing.assert_allclose(found["scores"][image][real], [s for s, _, _ in expected], atol=1e-5)
            assert found["labels"][image][real].tolist() == [label for _, label, _ in expected]
            boxes = np.array([box for _, _, box in expected]).reshape(-1, 4)
            np.testing.assert_allclose(found["boxes"][image][real], boxes, atol=1e-3)


def test_every_class_keeps_as_many_windows_as_the_released_code():
    """VOC's 20 classes with 100 windows each: a limit over all classes would drop the rarer classes' detections."""
    config = Reported(of_class=100, of_set=40, detections=2000)
    assert launch.load("detection/rcnn").PRESETS["paper"].test == config
    shapes = {"scores": (1, 500, 20), "offsets": (1, 500, 20, 4), "windows": (1, 500, 4)}
    arrays = {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in shapes.items()}
    marks = jax.ShapeDtypeStruct((1, 500), bool)
    size = jax.ShapeDtypeStruct((1, 2), jnp.float32)
    found = jax.eval_shape(lambda **given: rcnn.report(**given, config=config), **arrays, valid=marks, size=size)
    assert found.boxes.shape == (1, 2000, 4)


def test_a_limit_over_the_set_is_given_the_best_scores_of_each_class():
    task, state, batch = detector(Reported(of_class=2, of_set=1, detections=9))
    outputs = devices.compile_predict(task, ONE)(state, batch)
    assert "ranked" not in devices.compile_predict(detector(Reported())[0], ONE)(state, batch)
    assert outputs["ranked"].shape == (4, 2, CLASSES)
    for image, scores in enumerate(outputs["ranked"]):
        for c in range(CLASSES):
            own = outputs["scores"][image][outputs["valid"][image] & (outputs["labels"][image] == c + 1)]
            assert set(own.tolist()) <= set(scores[:, c].tolist())
    assert not np.isfinite(outputs["ranked"][2]).any(), "it has no windows"


def test_an_image_without_proposals_has_no_detections():
    task, state, batch = detector(Reported())
    assert not devices.compile_predict(task, ONE)(state, batch)["valid"][2].any()


@pytest.mark.parametrize("mode", [pytest.param("jit", marks=pytest.mark.long), "pmap"])
def test_devices_agree(mode: str):
    task, state, batch = detector(Reported())
    expected = devices.compile_predict(task, ONE)(state, batch)
    where = devices.choose(mode, jax.devices())
    found = devices.compile_predict(task, where)(devices.place(state, where), batch)
    chex.assert_trees_all_close(found, expected, atol=1e-4)


def test_a_softmax_knows_the_background_and_takes_the_place_of_the_machines():
    task = rcnn.rcnn(look_of(), CLASSES, Reported(), "softmax")
    params = jax.eval_shape(task.init, jax.random.PRNGKey(0), batch_of()).params
    assert params["softmax"]["kernel"].shape == (6, CLASSES + 1) and "svm" not in params
    rng = np.random.default_rng(0)
    kernel, machine = (rng.normal(size=shape).astype(np.float32) for shape in ((6, 3), (1, 4, 6)))
    regression = {"kernel": jnp.zeros((CLASSES, 5, 4)), "bias": jnp.zeros((CLASSES, 4))}
    softmax = {"kernel": jnp.asarray(kernel), "bias": jnp.array([1.0, 0.0, -1.0])}
    found, _ = rcnn.score({"softmax": softmax, "regression": regression}, jnp.asarray(machine), jnp.zeros((1, 4, 5)))
    exponents = np.exp(machine @ kernel + np.array([1.0, 0.0, -1.0]))
    np.testing.assert_allclose(found, (exponents / exponents.sum(-1, keepdims=True))[..., 1:], rtol=1e-5)


def test_heads_begin_as_zeros_of_their_shapes():
    svm = rcnn.machines(6, CLASSES).init(jax.random.PRNGKey(0), {}).params
    boxes = rcnn.regressors(24, CLASSES).init(jax.random.PRNGKey(0), {}).params
    assert svm["kernel"].shape == (6, 2) and svm["bias"].shape == (2,)
    assert boxes["kernel"].shape == (2, 24, 4) and boxes["bias"].shape == (2, 4) and not boxes["kernel"].any()
    whole = rcnn.rcnn(look_of(), CLASSES, Reported()).init(jax.random.PRNGKey(0), batch_of()).params
    chex.assert_trees_all_equal_shapes(whole["svm"], svm)
    chex.assert_trees_all_equal_shapes(whole["regression"], boxes)
