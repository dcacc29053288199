"""What an image costs in testing, part by part."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.detection import Searching, Setup
from jaxvision.data.proposals import propose
from jaxvision.ops.images import normalise
from jaxvision.ops.proposals import Proposals
from jaxvision.tasks import proposals as first_stage
from jaxvision.tasks import regions as second_stage
from jaxvision.train.devices import first_batch
from jaxvision.train.timing import seconds
from jaxvision.train.types import Hook, Predict, PyTree, Result, TrainState

TIMED = 8  # images
PARTS = ("proposals", "features", "heads", "post_processing", "image")


def times(setup: Setup, network: Any) -> Hook:
    """Seconds that an image takes a two-stage detector, the median of a few looked at alone: `test/seconds_…` of
    proposals (searched for, or the network's own), features, heads, post_processing and of it all.
    """
    config, search = setup.config, setup.proposals

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
    tell = jax.jit(partial(second_stage.detections_of, numbers=config.detecting))

    def once(state: TrainState, batch: Mapping[str, Any], row: int) -> list[float]:
        one = {key: jnp.asarray(value[row : row + 1]) for key, value in batch.items()}
        variables = {"params": state.params, **state.model_state}
        looked, maps = seconds(see, variables, one)
        proposed, given = seconds(find, variables, maps, one)
        if isinstance(search, Searching):
            height, width = np.rint(batch["size"][row]).astype(int).tolist()
            proposed, _ = seconds(
                propose, batch["image"][row][:height, :width], search.strategy, setup.inputs.seed, search.most
            )
        judged, (logits, offsets) = seconds(judge, variables, maps, given.boxes)
        told, _ = seconds(tell, logits, offsets, given, one["size"])
        return [proposed, looked, judged, told]

    def run(predict: Predict, state: TrainState) -> Result:
        batch = first_batch(setup.val())
        rows = np.flatnonzero(batch["_mask"])[:TIMED].tolist()
        once(state, batch, rows[0])  # compiles
        medians = np.median([once(state, batch, row) for row in rows], axis=0)
        return {f"test/seconds_{part}": float(s) for part, s in zip(PARTS, [*medians, medians.sum()], strict=True)}

    return Hook("times", 0, run)
