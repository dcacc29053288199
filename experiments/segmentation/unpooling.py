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
from jaxvision.train.types import Batch, Experiment, Hook, Metric, Predict, PyTree, Result, Stage, Task, TrainState
from jaxvision.viz import segmentation as viz
from jaxvision.viz.table import table

LEVELS = (3, 2, 1)  # the decoder's levels, from the smallest maps to the largest
FIGURES = ("mean_iou", "pixel_accuracy", "mean_accuracy", "frequency_weighted_iou")


@dataclasses.dataclass(frozen=True)
class Config(SegmenterConfig):
    """Fields are flags; `quick` is the default preset."""

    width: float = 0.5  # fraction of 32, 64, 128 and 256 channels
    kinds: tuple[str, ...] = UNPOOLING  # ways of unpooling: nearest, bed_of_nails, max_unpool, transposed, bilinear
    steps: int = 300  # training steps of each kind of unpooling
    # No flags here: all networks are compared after the last is trained, on whole images.
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
    """Train a network with each kind of unpooling, a stage each; then compare them all in a last stage."""
    setup = SegmenterSetup(inputs.source(config.data, "label_maps", config.pixels), config, inputs)
    models = {
        kind: in_precision(EncoderDecoder(setup.source.num_classes, kind, config.width), inputs.precision)
        for kind in config.kinds
    }
    names = setup.source.class_names
    stages = [Stage(kind, setup.task(model), setup.train(), config.steps) for kind, model in models.items()]
    hooks = (
        Hook("table", 0, partial(_table, setup, config.kinds)),
        picture("unpooling", setup.val(), _draw_maps),
        picture("predictions", setup.val(), partial(_draw_classes, class_names=names)),
    )
    gather = partial(_gather, config.kinds)
    return Experiment((*stages, Stage("comparison", _comparison(models, setup), None, 0, hooks, gather)))


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


def _gather(kinds: Sequence[str], state: TrainState, done: Mapping[str, TrainState]) -> TrainState:
    """Put the trained networks' variables into the state of the comparison."""
    trained = {kind: {"params": done[kind].params, **done[kind].model_state} for kind in kinds}
    return dataclasses.replace(state, aux=trained)


def _energy(maps: Float[Array, "B h w C"]) -> Float[Array, "B h w 1"]:
    """Return the root mean square over channels, which a picture shows in place of all channels."""
    return jnp.sqrt(jnp.mean(jnp.square(maps), axis=-1, keepdims=True))


def _table(setup: SegmenterSetup, kinds: Sequence[str], predict: Predict, state: TrainState) -> Result:
    """Measure every kind of unpooling on the whole validation split; return the figures and a table of them."""
    metrics = tuple(_confusion_of(kind, setup.source.class_names) for kind in kinds)
    result = evaluate(metrics, setup.val(), name="val").run(predict, state)
    figures = {k: v for k, v in result.items() if k.rpartition("/")[2] in FIGURES}
    rows = {kind: [figures[f"val/{kind}/{name}"] for name in FIGURES] for kind in kinds}
    return {**figures, "comparison": table(("unpooling", *FIGURES), rows)}


def _confusion_of(kind: str, class_names: Sequence[str]) -> Metric:
    """Return `confusion` for one network among several; its keys begin with "<kind>/"."""
    inner = confusion(class_names)
    return Metric(
        inner.init,
        lambda state, outputs, batch: inner.update(state, outputs[kind], batch),
        lambda state: {f"{kind}/{key}": value for key, value in inner.result(state).items()},
    )


def _draw_maps(outputs: PyTree, batch: Batch) -> np.ndarray:
    maps = {kind: [(o[f"pooled{n}"][0], o[f"unpooled{n}"][0]) for n in LEVELS] for kind, o in outputs.items()}
    return viz.unpooling(batch["image"][0], maps)


def _draw_classes(outputs: PyTree, batch: Batch, *, class_names: Sequence[str]) -> np.ndarray:
    classes = {kind: found["classes"] for kind, found in outputs.items()}
    return viz.comparison(batch["image"], batch["label_map"], classes, class_names)
