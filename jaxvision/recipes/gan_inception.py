"""Inception v3 as the judge of a GAN's samples, whose figures can be compared with published ones."""

import dataclasses
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.fid_inception import FIDInception
from jaxvision.recipes.gan import GanSetup
from jaxvision.recipes.gan_judge import GanJudge, JudgedGanConfig, comparisons, plain
from jaxvision.tasks.extractor import Extractor, judged_by
from jaxvision.train.types import Hook, PyTree, Stage, TrainState
from jaxvision.weights import fid_inception

SIDE = 299  # pixels that every image is resized to


def judge_of(setup: GanSetup, config: JudgedGanConfig) -> "GanJudge | InceptionJudge":
    """Return the judge that `--extractor` asks for. ValueError: it is neither "judge" nor the name of a file."""
    kind, _, file = config.extractor.partition(":")
    if config.extractor == "judge":
        return GanJudge(setup, config.judge_steps, config.judge)
    if kind != "inception" or not file:
        raise ValueError(f"--extractor={config.extractor}: write judge, or inception:FILE")
    if not Path(file).expanduser().is_file():
        raise ValueError(f"--extractor={config.extractor}: no such file")
    return InceptionJudge(setup, str(Path(file).expanduser()))


@dataclasses.dataclass(frozen=True)
class InceptionJudge:
    """A judge that is read from a file, and not trained; it stands in the place of a `GanJudge`."""

    setup: GanSetup
    file: str  # its weights

    @property
    def name(self) -> str:
        """The judge's name in metric keys."""
        return "inception"

    def stages(self) -> tuple[Stage, ...]:
        """Return no stage: there is nothing to train."""
        return ()

    def extractor(self) -> Extractor:
        """Return the network as an extractor of features; `start` fills in its weights."""
        return inception()

    def start(self, state: TrainState, done: Mapping[str, TrainState]) -> TrainState:
        """Put the file's weights into a GAN's state: a stage's `warm_start`."""
        return judged_by(state, fid_inception.read(self.file))

    def hooks(self) -> tuple[Hook, ...]:
        """Return the hooks that compare samples with real images by Inception's features."""
        return comparisons(self.setup, self.name, scored=True, of_classes=False, trusted=plain)


def inception() -> Extractor:
    """Return Inception v3 as an extractor, whose probabilities are those of the Inception score.

    Images are resized as pytorch-fid does: bilinearly, with half-pixel centres and without an average over the pixels
    that merge.
    """
    model = FIDInception()

    def init(key: Array, images: Float[Array, "B H W 3"]) -> PyTree:
        return model.init(key, jnp.zeros((1, SIDE, SIDE, 3)))

    return Extractor(init, partial(_features, model))


def _features(model: nn.Module, variables: PyTree, images: Float[Array, "B H W 3"]) -> dict[str, Array]:
    shape = (len(images), SIDE, SIDE, 3)
    resized = jax.image.resize(images.astype(jnp.float32), shape, "bilinear", antialias=False)
    outputs: Any = model.apply(variables, resized / 127.5 - 1.0)
    return {"features": outputs["pool"], "probabilities": jax.nn.softmax(outputs["logits"])}
