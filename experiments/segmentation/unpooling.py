"""Five ways of unpooling in one encoder–decoder, compared on the same data, seed and steps, in a table and pictures.

python launch.py --experiment=segmentation/unpooling  # scenes: 6 minutes, two CPU cores
python launch.py --experiment=segmentation/unpooling --preset=photos --data=masks:/data/camvid,ignore=11
"""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxvision.data.inputs import Inputs
from jaxvision.evals.segmentation import confusion
from jaxvision.models.encoder_decoder import UNPOOLING, EncoderDecoder
from jaxvision.models.precision import in_precision
from jaxvision.ops.images import normalise
from jaxvision.recipes.comparison import compare
from jaxvision.recipes.comparison_table import Comparison, Measure
from jaxvision.recipes.segmentation import (
    PHOTOS,
    SLOWER_SEGMENTER_ADAM,
    SMALL,
    STREETS,
    SegmenterConfig,
    SegmenterSetup,
    SegmenterTest,
)
from jaxvision.train.hooks import evaluate, picture
from jaxvision.train.steps import as_float32, init_state, no_step
from jaxvision.train.types import Batch, Experiment, PyTree, Stage, Task, TrainState
from jaxvision.viz import segmentation as viz

LEVELS = (3, 2, 1)  # the decoder's levels, from the smallest maps to the largest
FIGURES = ("mean_iou", "pixel_accuracy", "mean_accuracy", "frequency_weighted_iou")


@dataclasses.dataclass(frozen=True)
class Config(SegmenterConfig):
    """Fields are flags; `quick` is the default preset."""

    width: float = 0.5  # fraction of 32, 64, 128 and 256 channels
    kinds: tuple[str, ...] = UNPOOLING  # ways of unpooling: nearest, bed_of_nails, max_unpool, transposed, bilinear
    seeds: int = 1  # runs of each kind of unpooling, each with other weights and batches
    steps: int = 300  # training steps of each kind of unpooling
    # No flags here: networks are measured when they are trained, on whole images.
    eval_every: ClassVar[int] = 0  # type: ignore[misc]
    test: ClassVar[SegmenterTest] = SegmenterTest()  # type: ignore[misc]


PRESETS = {
    "quick": Config(),
    "photos": Config(  # a few hundred photographs of one's own
        data="masks:photos",
        batch_size=4,
        steps=800,
        view=PHOTOS,
        optimizer=SLOWER_SEGMENTER_ADAM,
    ),
    "paper": Config(  # of no single paper: at full width, on SegNet's data
        data="masks:camvid,ignore=11",
        width=1.0,
        class_weights="median_frequency",
        batch_size=12,
        steps=20_000,
        view=STREETS,
    ),
    "smoke": Config(
        data="scenes:count=8,size=64",
        kinds=("nearest", "max_unpool"),
        width=0.125,
        batch_size=4,
        steps=2,
        view=SMALL,
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train a network with each kind of unpooling; then compare them all in a last stage."""
    setup = SegmenterSetup(inputs.source(config.data, "label_maps", config.pixels), config, inputs)
    models = {
        kind: in_precision(EncoderDecoder(setup.source.num_classes, kind, config.width), inputs.precision)
        for kind in config.kinds
    }
    measures = tuple(Measure(f"val/{figure}", figure, "on held-out images") for figure in FIGURES)
    comparison = Comparison("Unpooling", "unpooling", measures, prefix="val/")
    builds = {kind: partial(_trained, setup, model) for kind, model in models.items()}
    return compare(builds, inputs, config.seeds, comparison, last=partial(_pictures, setup, models))


def _trained(setup: SegmenterSetup, model: EncoderDecoder, inputs: Inputs) -> Experiment:
    """Return the experiment of one network, which is measured on the whole validation split when it is trained."""
    of_run = dataclasses.replace(setup, inputs=inputs)
    measured = evaluate((confusion(setup.source.class_names),), setup.val())
    return Experiment.single(setup.task(model), of_run.train(), setup.config.steps, (measured,))


def _pictures(setup: SegmenterSetup, models: Mapping[str, EncoderDecoder], ends: Mapping[str, str]) -> Stage:
    """Return the last stage, which draws the maps and the predictions of the networks that were trained."""
    hooks = (
        picture("unpooling", setup.val(), _draw_maps),
        picture("predictions", setup.val(), partial(_draw_classes, class_names=setup.source.class_names)),
    )
    task = _comparison({kind: models[kind] for kind in ends}, setup)
    return Stage("", task, None, 0, hooks, partial(_gather, ends))


def _comparison(models: Mapping[str, EncoderDecoder], setup: SegmenterSetup) -> Task:
    """Return a task that predicts with every network: its classes, and its maps before and after each unpooling."""

    def predict(state: TrainState, batch: Batch) -> PyTree:
        images = normalise(batch["image"], setup.source.mean, setup.source.std)
        outputs: dict[str, Any] = {
            kind: as_float32(model.apply(state.aux[kind], images, train=False)) for kind, model in models.items()
        }
        maps = [f"{when}{level}" for level in LEVELS for when in ("pooled", "unpooled")]
        return {
            kind: {"classes": jnp.argmax(o["logits"], -1).astype(jnp.uint8), **{m: _energy(o[m]) for m in maps}}
            for kind, o in outputs.items()
        }

    return Task(lambda key, batch: init_state(key, {"params": {}}, {}), no_step, predict)


def _gather(ends: Mapping[str, str], state: TrainState, done: Mapping[str, TrainState]) -> TrainState:
    """Put the trained networks' variables into the state of the comparison."""
    trained = {kind: {"params": done[end].params, **done[end].model_state} for kind, end in ends.items()}
    return dataclasses.replace(state, aux=trained)


def _energy(maps: Float[Array, "B h w C"]) -> Float[Array, "B h w 1"]:
    """Return the root mean square over channels, which a picture shows in place of all channels."""
    return jnp.sqrt(jnp.mean(jnp.square(maps), axis=-1, keepdims=True))


def _draw_maps(outputs: PyTree, batch: Batch) -> np.ndarray:
    maps = {kind: [(o[f"pooled{n}"][0], o[f"unpooled{n}"][0]) for n in LEVELS] for kind, o in outputs.items()}
    return viz.unpooling(batch["image"][0], maps)


def _draw_classes(outputs: PyTree, batch: Batch, *, class_names: Sequence[str]) -> np.ndarray:
    classes = {kind: found["classes"] for kind, found in outputs.items()}
    return viz.comparison(batch["image"], batch["label_map"], classes, class_names)
