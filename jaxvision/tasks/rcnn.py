"""R-CNN (Girshick, Donahue, Darrell & Malik 2014): a network classifies one window (region proposal) after the other.

Each stage has a task of its own: a classifier of windows, which is fine-tuned; the features of windows; SVMs and box
regressors, which are solved for; and all of them together, as a detector. R is windows of an image, C classes without
the background.
"""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt8

from jaxvision.ops import boxes as box_ops
from jaxvision.ops.detections import Detections, best
from jaxvision.ops.images import Color, normalise
from jaxvision.ops.warp import warp
from jaxvision.train.steps import init_state, no_step
from jaxvision.train.types import Batch, Key, Metrics, PyTree, Task, TrainState

Classifier = Literal["svm", "softmax"]


@dataclasses.dataclass(frozen=True)
class Warping:
    """Settings by which a window becomes an input of the network."""

    size: int = 227  # pixels a side
    padding: int = 16  # pixels of these, on each side, that show the context of the window


@dataclasses.dataclass(frozen=True)
class Reported:
    """Settings that choose the detections of an image."""

    min_score: float = -1.0  # least SVM score of a detection; -1 is the margin of the negatives
    nms_iou: float = 0.3  # IoU with a better detection of its class above which a detection is suppressed
    of_class: int = 0  # windows of each class, the best by score, among which suppression chooses; 0: all
    of_set: int = 0  # of each class in an evaluated set, for figures and curves: so many times its images; 0: all
    detections: int = 100  # detections of an image, at most, over all classes


class Look(NamedTuple):
    """A network, its windows, and the features that SVMs and regressors get."""

    model: nn.Module  # (windows, *, train) -> features by name
    warping: Warping
    mean: Color  # pixel mean of each channel, in 0..255
    std: Color  # pixel standard deviation of each channel
    machine_features: str  # of the SVMs: the last, "fc7"
    regressor_features: str  # of the regressors: a map, which keeps positions, "pool5"
    at_once: int = 64  # windows of an image in one pass

    def pixels(self, images: UInt8[Array, "B H W 3"], windows: Float[Array, "B R 4"]) -> UInt8[Array, "B R S S 3"]:
        """Warp windows to the network's input size."""
        return warp(images, windows, self.warping.size, self.warping.padding, self.mean)

    def init(self, key: Key) -> PyTree:
        """Draw the variables of the network."""
        side = self.warping.size
        return self.model.init({"params": key, "dropout": key}, jnp.zeros((1, side, side, 3)), train=False)

    def widths(self) -> tuple[int, int]:
        """Count the features of a window that SVMs and regressors get."""
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
        """Compute the features of windows, part by part; a part without valid windows costs nothing.

        Args:
            variables: of the network.
            images: of the batch.
            windows: boxes in pixels of the images.
            valid: marks real windows, which come first; the others may get any features.

        Returns:
            The features of SVMs and of regressors.
        """
        count = windows.shape[1]
        parts = -(-count // self.at_once)
        padded = jnp.pad(windows, ((0, 0), (0, parts * self.at_once - count), (0, 0)))
        real = jnp.pad(valid, ((0, 0), (0, parts * self.at_once - count)))

        def run_part(part: tuple[Array, Array]) -> tuple[Array, Array]:
            run = partial(self._both, variables, images, part[0])
            return jax.lax.cond(part[1].any(), run, lambda: jax.tree.map(_zeros, jax.eval_shape(run)))

        features = jax.lax.map(run_part, (_parts(padded, parts), _parts(real, parts)))
        machine, regressor = (jnp.moveaxis(f, 0, 1).reshape(len(images), -1, f.shape[-1])[:, :count] for f in features)
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
    """Turn a task on images into one on windows.

    Args:
        task: learns "label" [B] from "image".
        pixels: cuts windows out of images, such as `Look.pixels`.

    Returns:
        A task on batches with "image", one window each, "boxes" [B, 1, 4], and its class, "labels" [B, 1] (0 for
        background). `predict` also returns the windows as images, "windows".
    """

    def window_batch(batch: Batch) -> dict[str, Any]:
        return {"image": pixels(batch["image"], batch["boxes"])[:, 0], "label": batch["labels"][:, 0]}

    def step(state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        return task.step(state, window_batch(batch), axis_name=axis_name)

    def predict(state: TrainState, batch: Batch) -> dict[str, Array]:
        windows = window_batch(batch)
        return {**task.predict(state, windows), "windows": windows["image"]}

    return Task(lambda key, batch: task.init(key, window_batch(batch)), step, predict)


def features(look: Look) -> Task:
    """Make the task of computing features of windows, with a network that is learned elsewhere.

    `predict` returns "machine" [B, R, F] and "regressor" [B, R, G] of `batch["proposals"]` [B, R, 4], of which
    "proposal_valid" [B, R] marks the real ones.
    """

    def predict(state: TrainState, batch: Batch) -> dict[str, Array]:
        variables = {"params": state.params, **state.model_state}
        machine, regressor = look.features(variables, batch["image"], batch["proposals"], batch["proposal_valid"])
        return {"machine": machine, "regressor": regressor}

    return Task(lambda key, batch: init_state(key, look.init(key), {}), no_step, predict)


def machines(width: int, classes: int) -> Task:
    """Make the task of the SVMs, one for each class but the background; a stage's `make` solves for them."""
    return _solved({"kernel": (width, classes), "bias": (classes,)})


def softmax(width: int, classes: int) -> Task:
    """Make the task of the fine-tuned network's own classifier in the place of the SVMs; it knows the background."""
    return _solved({"kernel": (width, classes + 1), "bias": (classes + 1,)})


def regressors(width: int, classes: int) -> Task:
    """Make the task of the box regressors, one for each class but the background; a stage's `make` solves for them."""
    return _solved({"kernel": (classes, width, 4), "bias": (classes, 4)})


def rcnn(look: Look, classes: int, config: Reported, classifier: Classifier = "svm") -> Task:
    """Make the detector, whose parts are learned by other tasks.

    Args:
        look: the network and its windows.
        classes: C.
        config: which windows are detections.
        classifier: the SVMs, or the softmax that the network was fine-tuned with.

    Returns:
        A task whose `predict` returns the detections of a batch with "image", "size", "proposals" and "proposal_valid",
        and under "unmoved" those without box regression. Scores are the SVMs', 0 on the boundary, or probabilities.
        With `config.of_set` there is also "ranked" [B, N, C], which `evals.best_of_set` needs.
    """
    machine_width, regressor_width = look.widths()
    classify = {"svm": machines, "softmax": softmax}[classifier](machine_width, classes)
    heads = {classifier: classify, "regression": regressors(regressor_width, classes)}

    def init(key: Key, batch: Batch) -> TrainState:
        state = init_state(key, look.init(key), {})
        parts = {name: task.init(key, {}).params for name, task in heads.items()}
        return dataclasses.replace(state, params={"network": state.params, **parts})

    def predict(state: TrainState, batch: Batch) -> dict[str, Any]:
        variables = {"params": state.params["network"], **state.model_state}
        windows, valid = batch["proposals"], batch["proposal_valid"]
        machine, regressor = look.features(variables, batch["image"], windows, valid)
        scores, offsets = score(state.params, machine, regressor)
        moved = report(scores, offsets, windows, valid, batch["size"], config)
        unmoved = report(scores, jnp.zeros_like(offsets), windows, valid, batch["size"], config)
        found = {**moved._asdict(), "unmoved": unmoved._asdict()}
        return {**found, "ranked": ranked(scores, valid, config)[0]} if config.of_set else found

    return Task(init, no_step, predict)


def score(
    params: Mapping[str, Any], machine: Float[Array, "B R F"], regressor: Float[Array, "B R G"]
) -> tuple[Float[Array, "B R C"], Float[Array, "B R C 4"]]:
    """Compute scores and box offsets of windows for every class but the background.

    Args:
        params: with "svm", or "softmax" in its place, and "regression".
        machine: features of the SVMs.
        regressor: features of the regressors.

    Returns:
        Scores and offsets.
    """
    classifier, regression = params["svm" if "svm" in params else "softmax"], params["regression"]
    scores = machine @ classifier["kernel"] + classifier["bias"][None, None]
    scores = scores if "svm" in params else jax.nn.softmax(scores)[..., 1:]
    offsets = jnp.einsum("brg,cgo->brco", regressor, regression["kernel"]) + regression["bias"][None, None]
    return scores, offsets


def report(
    scores: Float[Array, "B R C"],
    offsets: Float[Array, "B R C 4"],
    windows: Float[Array, "B R 4"],
    valid: Bool[Array, "B R"],
    size: Float[Array, "B 2"],
    config: Reported,
) -> Detections:
    """Select the best detections, after suppression within each class.

    Args:
        scores: of every window for every class.
        offsets: from every window to its box, for every class.
        windows: boxes in pixels of the images.
        valid: marks real windows.
        size: (height, width) of each image in pixels.
        config: which windows are detections.

    Returns:
        A fixed number of detections, the best first.
    """
    images = len(scores)
    boxes = box_ops.decode(offsets, windows[:, :, None])
    candidate = _candidates(scores, valid, config)
    if config.of_class:
        scores, rows = ranked(scores, valid, config)
        boxes, candidate = jnp.take_along_axis(boxes, rows[..., None], axis=1), jnp.isfinite(scores)
    labels = jnp.broadcast_to(jnp.arange(1, scores.shape[-1] + 1)[None, None], scores.shape)
    return best(
        box_ops.clip(boxes.reshape(images, -1, 4), size),
        scores.reshape(images, -1),
        labels.reshape(images, -1),
        candidate.reshape(images, -1),
        iou_threshold=config.nms_iou,
        count=config.detections,
    )


def ranked(
    scores: Float[Array, "B R C"], valid: Bool[Array, "B R"], config: Reported
) -> tuple[Float[Array, "B N C"], Int[Array, "B N C"]]:
    """Return the scores of the best windows of each class, which may become detections, and which windows these are.

    Args:
        scores: of every window for every class.
        valid: marks real windows.
        config: how many there are at most, N, and the least score.

    Returns:
        Falling scores, -inf where there are fewer, and the rows of the windows.
    """
    candidates = jnp.where(_candidates(scores, valid, config), scores, -jnp.inf).swapaxes(1, 2)
    kept, rows = jax.lax.top_k(candidates, min(config.of_class or scores.shape[1], scores.shape[1]))
    return kept.swapaxes(1, 2), rows.swapaxes(1, 2)


def _candidates(scores: Float[Array, "B R C"], valid: Bool[Array, "B R"], config: Reported) -> Bool[Array, "B R C"]:
    return valid[..., None] & (scores > config.min_score)


def _solved(shapes: Mapping[str, tuple[int, ...]]) -> Task:
    def init(key: Key, batch: Batch) -> TrainState:
        return init_state(key, {"params": {name: jnp.zeros(shape) for name, shape in shapes.items()}}, {})

    return Task(init, no_step, lambda state, batch: {})


def _parts(array: Array, parts: int) -> Array:
    """Split the second axis: [B, parts · n, …] -> [parts, B, n, …]."""
    return jnp.moveaxis(array.reshape(array.shape[0], parts, -1, *array.shape[2:]), 1, 0)


def _zeros(shape: jax.ShapeDtypeStruct) -> Array:
    return jnp.zeros(shape.shape, shape.dtype)
