"""Seconds that a detector takes for one image in testing, part by part."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.channels import Channels
from jaxvision.data.proposals import propose
from jaxvision.data.records import Records
from jaxvision.models.yolo import YOLO
from jaxvision.ops.cells import Cells
from jaxvision.ops.images import normalise
from jaxvision.ops.proposals import Proposals
from jaxvision.recipes.detection import DetectorSetup
from jaxvision.recipes.searched_proposals import SelectiveSearchFlags
from jaxvision.tasks import proposals as first_stage
from jaxvision.tasks import regions as second_stage
from jaxvision.tasks.rcnn import Look, Reported, report, score
from jaxvision.tasks.yolo import Reporting, cells_of, outputs_of
from jaxvision.train.devices import share
from jaxvision.train.timing import seconds
from jaxvision.train.types import Batch, Data, Hook, Predict, PyTree, Result, TrainState

TIMED = 8  # images
PARTS = ("proposals", "features", "heads", "post_processing", "image")
"""Parts of the time of an image; the last is their sum."""

TimeImage = Callable[[TrainState, Batch, int], list[float]]
"""(state, batch, row) -> seconds of all `PARTS` but the last, for one image of the batch alone."""


def two_stage_times(setup: DetectorSetup) -> Hook:
    """Return the hook `times` of a two-stage detector.

    Selective Search, where proposals come from it, is timed on the original image, the network on the canvas.
    """
    search = setup.proposals
    network: Any = setup.network  # whose methods linen calls by name
    records = setup.source[setup.config.val_split]

    @jax.jit
    def compute_maps(variables: PyTree, batch: Mapping[str, Any]) -> PyTree:
        image = normalise(batch["image"], setup.source.mean, setup.source.std)
        return network.apply(variables, image, train=False, method="features")

    @jax.jit
    def make_proposals(variables: PyTree, maps: PyTree, batch: Mapping[str, Any]) -> Proposals:
        if isinstance(search, SelectiveSearchFlags):
            return first_stage.searched(batch)
        levels = network.apply(variables, maps, batch["image"].shape[1:3], method="propose")
        return first_stage.proposals_of(levels, batch, search, train=False)

    classify = jax.jit(partial(network.apply, train=False, method="box"))
    suppress = jax.jit(partial(second_stage.detections_of, config=setup.config.detecting))

    def time_image(state: TrainState, batch: Batch, row: int) -> list[float]:
        one = {key: jnp.asarray(value[row : row + 1]) for key, value in batch.items()}
        variables = {"params": state.params, **state.model_state}
        for_features, maps = seconds(compute_maps, variables, one)
        for_proposals, proposals = seconds(make_proposals, variables, maps, one)
        if isinstance(search, SelectiveSearchFlags):
            for_proposals = _search_seconds(records, int(batch["image_id"][row]), search, setup.inputs.seed)
        for_heads, (logits, offsets) = seconds(classify, variables, maps, proposals.boxes)
        for_detections, _ = seconds(suppress, logits, offsets, proposals, one["size"])
        return [for_proposals, for_features, for_heads, for_detections]

    return times(time_image, setup.val())


def window_times(
    look: Look, config: Reported, records: Records, data: Data, search: SelectiveSearchFlags, seed: int
) -> Hook:
    """Return the hook `times` of R-CNN, whose features are those of windows.

    Args:
        look: the network with its windows.
        config: which detections are reported.
        records: the images of `data` before they are resized, which Selective Search is timed on.
        data: the batches that are evaluated.
        search: the flags of Selective Search.
        seed: the seed of its random order.

    Returns:
        The hook; see `times`.
    """
    compute_features = jax.jit(look.features)
    classify = jax.jit(score)
    suppress = jax.jit(partial(report, config=config))

    def time_image(state: TrainState, batch: Batch, row: int) -> list[float]:
        one = {key: jnp.asarray(batch[key][row : row + 1]) for key in ("image", "proposals", "proposal_valid", "size")}
        boxes, valid = one["proposals"], one["proposal_valid"]
        for_proposals = _search_seconds(records, int(batch["image_id"][row]), search, seed)
        variables = {"params": state.params["network"], **state.model_state}
        for_features, features = seconds(compute_features, variables, one["image"], boxes, valid)
        for_heads, (scores, offsets) = seconds(classify, state.params, *features)
        for_detections, _ = seconds(suppress, scores, offsets, boxes, valid, one["size"])
        return [for_proposals, for_features, for_heads, for_detections]

    return times(time_image, data)


def yolo_times(network: YOLO, mean: Channels, std: Channels, config: Reporting, data: Data) -> Hook:
    """Return the hook `times` of YOLO, which has no proposals, and whose head is what follows the convolutions.

    Args:
        network: the detector.
        mean: mean of the pixels, a number for each channel.
        std: standard deviation of the pixels.
        config: which detections are reported.
        data: the batches that are evaluated.

    Returns:
        The hook; see `times`.
    """
    trunk, head = network.parts()

    @jax.jit
    def compute_features(variables: PyTree, images: jax.Array) -> jax.Array:
        features: Any = trunk.apply(variables, normalise(images, mean, std), train=False)
        return features["trunk"]

    @jax.jit
    def predict_cells(variables: PyTree, features: jax.Array) -> Cells:
        outputs: Any = head.apply(variables, features, train=False)
        return cells_of(outputs)

    suppress = jax.jit(lambda cells, batch: outputs_of(cells, batch, config))

    def time_image(state: TrainState, batch: Batch, row: int) -> list[float]:
        one = {key: jnp.asarray(batch[key][row : row + 1]) for key in ("image", "size")}
        variables = {"params": state.params, **state.model_state}
        for_features, features = seconds(compute_features, variables, one["image"])
        for_head, cells = seconds(predict_cells, variables, features)
        for_detections, _ = seconds(suppress, cells, one)
        return [0.0, for_features, for_head, for_detections]

    return times(time_image, data)


def times(time_image: TimeImage, data: Data) -> Hook:
    """Return the hook `times`: `test/seconds_<part>` of an image, the median of `TIMED` images, each looked at alone.

    The first image is looked at once before, so that compilation does not count.
    """

    def run(predict: Predict, state: TrainState) -> Result:
        images = list(itertools.islice(_images(data), TIMED))
        time_image(state, *images[0])  # compiles
        medians = np.median([time_image(state, *image) for image in images], axis=0)
        return {f"test/seconds_{part}": float(s) for part, s in zip(PARTS, [*medians, medians.sum()], strict=True)}

    return Hook("times", 0, run)


def _search_seconds(records: Records, index: int, search: SelectiveSearchFlags, seed: int) -> float:
    image = records[index]["image"]  # as it is in its file: a canvas may have enlarged it
    return seconds(propose, image, search.strategy, seed, search.most)[0]


def _images(data: Data) -> Iterator[tuple[Batch, int]]:
    """Yield the batch and row of each image that can be read, until a canvas has another shape than the first."""
    shape: tuple[int, ...] = ()
    with share(data) as batches:
        for batch in batches:
            for row in np.flatnonzero(batch["_mask"]).tolist():
                shape = shape or batch["image"].shape
                if batch["image"].shape != shape:
                    return
                yield batch, row
