"""Five updates of a classifier lead where Caffe's solver leads: multipliers, iter_size, and its form of momentum."""

from typing import NamedTuple

import flax.linen as nn
import numpy as np

from jaxvision.tasks.classification import classification
from jaxvision.train.optim import Optimizer
from tests.equivalence.steps import (
    GREY,
    SPREAD,
    STEPS,
    Arrays,
    assert_losses,
    assert_variables,
    drawn,
    five_steps,
    photos,
    variables_of,
)

ITER_SIZE, ROWS, CLASSES = 2, 6, 3
BASE_LR, GAMMA, MOMENTUM, DECAY = 0.05, 0.1, 0.9, 0.01
CUT = 3  # updates at the first rate: stepsize


class TwoLayers(nn.Module):
    """A hidden layer on all pixels."""

    num_classes: int = CLASSES

    @nn.compact
    def __call__(self, x, *, train: bool):
        hidden = nn.relu(nn.Dense(7, name="fc6")(x.reshape(len(x), -1)))
        return {"logits": nn.Dense(self.num_classes, name="score")(hidden)}


class Multipliers(NamedTuple):
    """A parameter's lr_mult and decay_mult."""

    lr: float
    decay: float


# As R-CNN's: biases at twice the rate and without decay, and a new last layer ten times as fast.
MULTIPLIERS = {
    ("params", "fc6", "kernel"): Multipliers(1, 1),
    ("params", "fc6", "bias"): Multipliers(2, 0),
    ("params", "score", "kernel"): Multipliers(10, 1),
    ("params", "score", "bias"): Multipliers(20, 0),
}
OPTIMIZER = Optimizer(
    lr=BASE_LR,
    momentum=MOMENTUM,
    weight_decay=DECAY,
    decay_norms=True,
    rate_in_velocity=True,
    schedule="step",
    milestones=(CUT / STEPS,),
    factor=GAMMA,
    accumulate=ITER_SIZE,
    lr_scale=("bias$=2", "^score/=10"),
    decay_scale=("bias$=0",),
)


def gradient(weights: Arrays, batch: dict[str, np.ndarray]) -> tuple[float, Arrays]:
    """Return softmax loss and gradient of a batch, by hand."""
    x = ((batch["image"] - np.array(GREY)) / np.array(SPREAD)).reshape(ROWS, -1)
    hidden = x @ weights["params", "fc6", "kernel"] + weights["params", "fc6", "bias"]
    active = np.maximum(hidden, 0)
    scores = active @ weights["params", "score", "kernel"] + weights["params", "score", "bias"]
    chances = np.exp(scores - scores.max(1, keepdims=True))
    chances /= chances.sum(1, keepdims=True)
    rows = np.arange(ROWS)
    loss = -np.log(chances[rows, batch["label"]]).mean()
    chances[rows, batch["label"]] -= 1
    top = chances / ROWS
    below = (top @ weights["params", "score", "kernel"].T) * (hidden > 0)
    grads = {("params", "score", "kernel"): active.T @ top, ("params", "score", "bias"): top.sum(0)}
    return loss, grads | {("params", "fc6", "kernel"): x.T @ below, ("params", "fc6", "bias"): below.sum(0)}


def solved(start: Arrays, batches: list[dict[str, np.ndarray]]) -> tuple[list[float], Arrays]:
    """Run SGDSolver: accumulate, normalise by iter_size, regularise, update the history, subtract it."""
    weights = {path: value.astype(np.float64) for path, value in start.items()}
    history, losses = {path: 0 * value for path, value in weights.items()}, []
    for update in range(STEPS):
        diff = {path: 0 * value for path, value in weights.items()}
        for batch in batches[update * ITER_SIZE : (update + 1) * ITER_SIZE]:
            loss, grads = gradient(weights, batch)
            losses.append(float(loss))
            diff = {path: value + grads[path] for path, value in diff.items()}
        rate = BASE_LR * GAMMA ** (update // CUT)
        for path, multiplier in MULTIPLIERS.items():
            regularised = diff[path] / ITER_SIZE + DECAY * multiplier.decay * weights[path]
            history[path] = MOMENTUM * history[path] + rate * multiplier.lr * regularised
            weights[path] = weights[path] - history[path]
    return losses, weights


def test_steps_are_those_of_caffes_solver():
    generator = np.random.default_rng(0)
    batches = [
        {"image": photos(ROWS, 4, 4, seed), "label": generator.integers(0, CLASSES, ROWS).astype(np.int32)}
        for seed in range(STEPS * ITER_SIZE)
    ]
    task = classification(TwoLayers(), OPTIMIZER.make(STEPS * ITER_SIZE), mean=GREY, std=SPREAD)
    run = five_steps(task, drawn(task, batches[0]), batches)
    losses, weights = solved(variables_of(run.states[0]), batches)
    assert_losses(run.losses(), losses)
    assert_variables(run, weights)
