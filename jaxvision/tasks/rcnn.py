"""R-CNN (Girshick, Donahue, Darrell & Malik 2014): a network looks at one window after the other.

Each of its stages has a task of its own: a classifier of windows, which is tuned; the features of windows; machines and
regressors, which are solved for; and all of them together, as a detector. `R` is windows an image.
"""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, UInt8

from jaxvision.ops import boxes as box_ops
from jaxvision.ops.detections import Detections, best
from jaxvision.ops.images import Color, normalise
from jaxvision.ops.warp import warp
from jaxvision.train.steps import init_state, no_step
from jaxvision.train.types import Batch, Key, Metrics, PyTree, Task, TrainState


@dataclasses.dataclass(frozen=True)
class Warping:
    """How a window becomes an image."""

    size: int = 227  # pixels a side
    padding: int = 16  # of them, on each side, that show what is around the window


@dataclasses.dataclass(frozen=True)
class Reported:
    """What is reported of an image."""

    min_score: float = -1.0  # of a machine: the margin of its negatives
    nms_iou: float = 0.3  # a detection goes when it overlaps a better one of its class more
    detections: int = 100  # an image, at most


class Look(NamedTuple):
    """A network, its windows, and which of its maps the machines and the regressors are given."""

    model: nn.Module
    warping: Warping
    mean: Color
    std: Color
    machine_features: str  # the last, "fc7"
    regressor_features: str  # a map, which knows where things are, "pool5"
    at_once: int = 64  # windows of an image

    def pixels(self, images: UInt8[Array, "B H W 3"], windows: Float[Array, "B R 4"]) -> UInt8[Array, "B R S S 3"]:
        """The windows as images."""
        return warp(images, windows, self.warping.size, self.warping.padding, self.mean)

    def init(self, key: Key) -> PyTree:
        """Variables of the network."""
        side = self.warping.size
        return self.model.init({"params": key, "dropout": key}, jnp.zeros((1, side, side, 3)), train=False)

    def widths(self) -> tuple[int, int]:
        """Features of a window that machines and regressors have."""
        variables = jax.eval_shape(self.init, jax.random.PRNGKey(0))
        images, windows = jnp.zeros((1, 8, 8, 3), jnp.uint8), jnp.zeros((1, 1, 4))
        shapes = jax.eval_shape(lambda v: self._both(v, images, windows), variables)
        return shapes[0].shape[-1], shapes[1].shape[-1]

    def features(
        self,
        variables: PyTree,
        images: UInt8[Array, "B H W 3"],
        windows: Float[Array, "B R 4"],
        valid: Bool[Array, "B R"],
    ) -> tuple[Float[Array, "B R F"], Float[Array, "B R G"]]:
        """What machines and regressors are given, a part of the windows after the other; parts without any cost none.

        Windows that are not `valid` may have any features, and those that are come first.
        """
        count = windows.shape[1]
        parts = -(-count // self.at_once)
        padded = jnp.pad(windows, ((0, 0), (0, parts * self.at_once - count), (0, 0)))
        real = jnp.pad(valid, ((0, 0), (0, parts * self.at_once - count)))

        def look(part: tuple[Array, Array]) -> tuple[Array, Array]:
            run = partial(self._both, variables, images, part[0])
            return jax.lax.cond(part[1].any(), run, lambda: jax.tree.map(_zeros, jax.eval_shape(run)))

        found = jax.lax.map(look, (_parts(padded, parts), _parts(real, parts)))
        machine, regressor = (jnp.moveaxis(f, 0, 1).reshape(len(images), -1, f.shape[-1])[:, :count] for f in found)
        return machine, regressor

    def _both(
        self, variables: PyTree, images: UInt8[Array, "B H W 3"], windows: Float[Array, "B R 4"]
    ) -> tuple[Float[Array, "B R F"], Float[Array, "B R G"]]:
        pixels = self.pixels(images, windows)
        rows = normalise(pixels.reshape(-1, *pixels.shape[2:]), self.mean, self.std)
        outputs: Any = self.model.apply(variables, rows, train=False)
        machine, regressor = (
            outputs[name].reshape(*windows.shape[:2], -1).astype(jnp.float32)
            for name in (self.machine_features, self.regressor_features)
        )
        return machine, regressor


def on_windows(task: Task, pixels: Callable[[Array, Array], Array]) -> Task:
    """A classifier of images as one of windows: of `batch["image"]` it is shown `batch["boxes"]` [B, 1, 4].

    Its label is in `batch["labels"]` [B, 1], 0 for background. `predict` also returns what was shown, "windows".
    """

    def see(batch: Batch) -> dict[str, Any]:
        return {"image": pixels(batch["image"], batch["boxes"])[:, 0], "label": batch["labels"][:, 0]}

    def step(state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        return task.step(state, see(batch), axis_name=axis_name)

    def predict(state: TrainState, batch: Batch) -> dict[str, Array]:
        seen = see(batch)
        return {**task.predict(state, seen), "windows": seen["image"]}

    return Task(lambda key, batch: task.init(key, see(batch)), step, predict)


def features(look: Look) -> Task:
    """`predict` returns "machine" [B, R, F] and "regressor" [B, R, G] of `batch["proposals"]` [B, R, 4], in which
    "proposal_valid" marks the real ones. The network is learned elsewhere.
    """

    def predict(state: TrainState, batch: Batch) -> dict[str, Array]:
        variables = {"params": state.params, **state.model_state}
        machine, regressor = look.features(variables, batch["image"], batch["proposals"], batch["proposal_valid"])
        return {"machine": machine, "regressor": regressor}

    return Task(lambda key, batch: init_state(key, look.init(key), {}), no_step, predict)


def machines(width: int, classes: int) -> Task:
    """An SVM for each class but the background; what is learned is put in its place by a stage's `make`."""
    return _solved({"kernel": (width, classes), "bias": (classes,)})


def regressors(width: int, classes: int) -> Task:
    """Offsets to the object, for each class but the background; solved for by a stage's `make`."""
    return _solved({"kernel": (classes, width, 4), "bias": (classes, 4)})


def rcnn(look: Look, classes: int, numbers: Reported) -> Task:
    """The detector: `predict` returns the detections of a batch with "image", "size" and "proposals", and under
    "unmoved" those of the windows as they were proposed. Scores are margins, 0 half way between object and not.
    """
    machine_width, regressor_width = look.widths()
    heads = {"svm": machines(machine_width, classes), "regression": regressors(regressor_width, classes)}

    def init(key: Key, batch: Batch) -> TrainState:
        state = init_state(key, look.init(key), {})
        parts = {name: task.init(key, {}).params for name, task in heads.items()}
        return dataclasses.replace(state, params={"network": state.params, **parts})

    def predict(state: TrainState, batch: Batch) -> dict[str, Any]:
        variables = {"params": state.params["network"], **state.model_state}
        windows, valid = batch["proposals"], batch["proposal_valid"]
        machine, regressor = look.features(variables, batch["image"], windows, valid)
        scores, offsets = score(state.params, machine, regressor)
        moved = report(scores, offsets, windows, valid, batch["size"], numbers)
        unmoved = report(scores, jnp.zeros_like(offsets), windows, valid, batch["size"], numbers)
        return {**moved._asdict(), "unmoved": unmoved._asdict()}

    return Task(init, no_step, predict)


def score(
    params: Mapping[str, Any], machine: Float[Array, "B R F"], regressor: Float[Array, "B R G"]
) -> tuple[Float[Array, "B R C"], Float[Array, "B R C 4"]]:
    """Scores and offsets of every window for every class but the background."""
    svm, regression = params["svm"], params["regression"]
    scores = machine @ svm["kernel"] + svm["bias"][None, None]
    offsets = jnp.einsum("brg,cgo->brco", regressor, regression["kernel"]) + regression["bias"][None, None]
    return scores, offsets


def report(
    scores: Float[Array, "B R C"],
    offsets: Float[Array, "B R C 4"],
    windows: Float[Array, "B R 4"],
    valid: Bool[Array, "B R"],
    size: Float[Array, "B 2"],
    numbers: Reported,
) -> Detections:
    """The best detections, after suppression within each class; `size` is each image's (height, width)."""
    images = len(scores)
    boxes = box_ops.decode(offsets, windows[:, :, None])
    labels = jnp.broadcast_to(jnp.arange(1, scores.shape[-1] + 1)[None, None], scores.shape)
    candidate = valid[..., None] & (scores > numbers.min_score)
    return best(
        box_ops.clip(boxes.reshape(images, -1, 4), size),
        scores.reshape(images, -1),
        labels.reshape(images, -1),
        candidate.reshape(images, -1),
        iou_threshold=numbers.nms_iou,
        count=numbers.detections,
    )


def _solved(shapes: Mapping[str, tuple[int, ...]]) -> Task:
    def init(key: Key, batch: Batch) -> TrainState:
        return init_state(key, {"params": {name: jnp.zeros(shape) for name, shape in shapes.items()}}, {})

    return Task(init, no_step, lambda state, batch: {})


def _parts(array: Array, parts: int) -> Array:
    """[B, parts · n, …] -> [parts, B, n, …]."""
    return jnp.moveaxis(array.reshape(array.shape[0], parts, -1, *array.shape[2:]), 1, 0)


def _zeros(shape: jax.ShapeDtypeStruct) -> Array:
    return jnp.zeros(shape.shape, shape.dtype)
