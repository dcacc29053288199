"""What an image costs in testing, part by part."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.channels import Channels
from jaxvision.data.proposals import propose
from jaxvision.models.yolo import YOLO
from jaxvision.ops.cells import Cells
from jaxvision.ops.images import normalise
from jaxvision.ops.proposals import Proposals
from jaxvision.recipes.detection import Searching, Setup
from jaxvision.tasks import proposals as first_stage
from jaxvision.tasks import regions as second_stage
from jaxvision.tasks.yolo import Reporting, cells_of, outputs_of
from jaxvision.train.devices import share
from jaxvision.train.timing import seconds
from jaxvision.train.types import Batch, Data, Hook, Predict, PyTree, Result, TrainState

TIMED = 8  # images
PARTS = ("proposals", "features", "heads", "post_processing", "image")


def times(setup: Setup, network: Any) -> Hook:
    """See `timed`; of a two-stage detector, whose proposals are searched for or the network's own."""
    config, search = setup.config, setup.proposals
    records = setup.source[config.val_split]

    @jax.jit
    def see(variables: PyTree, batch: Mapping[str, Any]) -> PyTree:
        image = normalise(batch["image"], setup.source.mean, setup.source.std)
        return network.apply(variables, image, train=False, method="features")

    @jax.jit
    def find(variables: PyTree, maps: PyTree, batch: Mapping[str, Any]) -> Proposals:
        if isinstance(search, Searching):
            return first_stage.searched(batch)
        levels = network.apply(variables, maps, batch["image"].shape[1:3], method="propose")
        return first_stage.proposals_of(levels, batch, search, train=False)

    judge = jax.jit(partial(network.apply, train=False, method="box"))
    tell = jax.jit(partial(second_stage.detections_of, config=config.detecting))

    def once(state: TrainState, batch: Mapping[str, Any], row: int) -> list[float]:
        one = {key: jnp.asarray(value[row : row + 1]) for key, value in batch.items()}
        variables = {"params": state.params, **state.model_state}
        looked, maps = seconds(see, variables, one)
        proposed, given = seconds(find, variables, maps, one)
        if isinstance(search, Searching):
            image = records[int(batch["image_id"][row])]["image"]  # searched as it is, not as the canvas has it
            proposed, _ = seconds(propose, image, search.strategy, setup.inputs.seed, search.most)
        judged, (logits, offsets) = seconds(judge, variables, maps, given.boxes)
        told, _ = seconds(tell, logits, offsets, given, one["size"])
        return [proposed, looked, judged, told]

    return timed(once, setup.val())


def yolo_times(network: YOLO, mean: Channels, std: Channels, numbers: Reporting, data: Data) -> Hook:
    """See `timed`; of a detector without proposals, whose head is what comes after the convolutions."""
    trunk, head = network.parts()

    @jax.jit
    def see(variables: PyTree, images: jax.Array) -> jax.Array:
        features: Any = trunk.apply(variables, normalise(images, mean, std), train=False)
        return features["trunk"]

    @jax.jit
    def judge(variables: PyTree, features: jax.Array) -> Cells:
        outputs: Any = head.apply(variables, features, train=False)
        return cells_of(outputs)

    tell = jax.jit(partial(outputs_of, reporting=numbers))

    def once(state: TrainState, batch: Batch, row: int) -> list[float]:
        one = {key: jnp.asarray(batch[key][row : row + 1]) for key in ("image", "size")}
        variables = {"params": state.params, **state.model_state}
        looked, features = seconds(see, variables, one["image"])
        judged, cells = seconds(judge, variables, features)
        told, _ = seconds(tell, cells, one)
        return [0.0, looked, judged, told]

    return timed(once, data)


def timed(once: Callable[[TrainState, Batch, int], list[float]], data: Data) -> Hook:
    """Seconds that an image takes in testing, the median of a few looked at alone: `test/seconds_…` of `PARTS`.

    `once(state, batch, row)` gives those of all parts but the last, which is their sum.
    """

    def run(predict: Predict, state: TrainState) -> Result:
        images = list(itertools.islice(_images(data), TIMED))
        once(state, *images[0])  # compiles
        medians = np.median([once(state, *image) for image in images], axis=0)
        return {f"test/seconds_{part}": float(s) for part, s in zip(PARTS, [*medians, medians.sum()], strict=True)}

    return Hook("times", 0, run)


def _images(data: Data) -> Iterator[tuple[Batch, int]]:
    """Every image that can be read, as a batch and its row there, while canvases have the shape of the first."""
    shape: tuple[int, ...] = ()
    with share(data) as batches:
        for batch in batches:
            for row in np.flatnonzero(batch["_mask"]).tolist():
                shape = shape or batch["image"].shape
                if batch["image"].shape != shape:
                    return
                yield batch, row
