"""A patch classifier as a sliding window and as one convolution, timed both ways (Long et al. 2015, section 3.1).

python launch.py --experiment=segmentation/sliding_window
"""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.data.inputs import Inputs
from jaxvision.models.patch_classifier import STRIDE, PatchClassifier, patches
from jaxvision.models.precision import in_precision
from jaxvision.ops.images import normalise
from jaxvision.recipes.segmentation import STREETS, SegmenterConfig, SegmenterSetup, smoke
from jaxvision.train.devices import first_batch
from jaxvision.train.types import Experiment, Hook, Result, TrainState


@dataclasses.dataclass(frozen=True)
class Config(SegmenterConfig):
    """Fields are flags; `quick` is the default preset."""

    data: str = "scenes:count=4096,size=64"  # scenes, masks:DIR, voc:DIR, tfds:oxford_iiit_pet
    width: float = 0.5  # fraction of 32, 64 and 256 channels
    steps: int = 1000  # training steps
    eval_every: int = 500  # training steps between evaluations


PRESETS = {
    "quick": Config(),
    "paper": Config(  # of no single paper: full width, on SegNet's data
        data="masks:camvid,ignore=11",
        width=1.0,
        batch_size=12,
        steps=20_000,
        eval_every=2000,
        view=STREETS,
    ),
    "smoke": smoke(Config(width=0.125)),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train a network that classifies a patch by its middle pixel, on every patch of an image at once; then time both.

    In training the class map is interpolated, so that every pixel's label teaches the patches around it.
    """
    setup = SegmenterSetup(inputs.source(config.data, "label_maps", config.pixels), config, inputs)
    model = PatchClassifier(setup.source.num_classes, dense=True, width=config.width)
    model = in_precision(model, inputs.precision)
    cost = Hook("cost", 0, lambda predict, state: _cost(model, setup, state))
    return Experiment.single(
        setup.task(model),
        setup.train(),
        config.steps,
        (*setup.hooks(), cost),
        presentation=setup.presentation(),
        best="val/mean_iou",
    )


def _cost(model: PatchClassifier, setup: SegmenterSetup, state: TrainState) -> Result:
    """Measure the seconds for one image patch by patch and at once, and the difference of the two class maps."""
    image = jnp.asarray(first_batch(setup.val())["image"][:1])
    image = normalise(image, setup.source.mean, setup.source.std)
    variables = {"params": state.params, **state.model_state}

    def dense(image: jax.Array) -> jax.Array:
        outputs: Any = model.apply(variables, image, train=False)
        return outputs["class_map"]

    def slide(image: jax.Array) -> jax.Array:
        """Classify one patch after the other, as a sliding window does."""
        single = model.clone(dense=False)

        def classify(patch: jax.Array) -> jax.Array:
            outputs: Any = single.apply(variables, patch[None], train=False)
            return outputs["logits"][0]

        scores = jax.lax.map(classify, patches(image)[0])
        return scores.reshape(1, -(-image.shape[1] // STRIDE), -(-image.shape[2] // STRIDE), -1)

    (sliding, one), (at_once, other) = _timed(jax.jit(slide), image), _timed(jax.jit(dense), image)
    return {
        "cost/sliding_seconds": sliding,
        "cost/dense_seconds": at_once,
        "cost/speed_up": sliding / at_once,
        "cost/largest_difference": float(jnp.max(jnp.abs(one - other))),
    }


def _timed(run: Callable[[jax.Array], jax.Array], image: jax.Array) -> tuple[float, jax.Array]:
    """Return the median seconds of five runs, without the compilation, and the result."""
    result = jax.block_until_ready(run(image))
    times = []
    for _ in range(5):
        start = time.perf_counter()
        jax.block_until_ready(run(image))
        times.append(time.perf_counter() - start)
    return float(np.median(times)), result
