"""How a run reads its data, whatever the experiment."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from jaxvision.channels import Channels
from jaxvision.data import classes, pipeline, sources
from jaxvision.data.order import GroupedByShape
from jaxvision.data.records import Records, Source
from jaxvision.data.sources import Content
from jaxvision.data.transforms import Transform

ARTEFACTS = "artefacts"  # the folder in a workdir with what stages make, a folder each


class Inputs(NamedTuple):
    """The launcher's `--seed`, `--workers` and `--strict`, with which every experiment opens its data.

    `normalise` is the (mean, std) of the pixels that imported weights were trained with, instead of the data's own, and
    `class_names` are the classes that they know, () for those of the data; `--data=none` is nothing but these names.
    `groups` (an id a record, see `canvas.Canvases.groups`) keeps records of different groups in different batches.
    """

    seed: int = 0
    workers: int = 0
    strict: bool = False
    normalise: tuple[Channels, Channels] | None = None
    class_names: tuple[str, ...] = ()
    workdir: Path = Path()

    def folder(self, stage: str) -> Path:
        """Where in the run's workdir a stage leaves files for later ones; it may not exist yet."""
        return self.workdir / ARTEFACTS / stage

    def megabytes(self, stage: str) -> float:
        """What the stage has left takes so much room; 0.0 where it has left nothing."""
        return sum(path.stat().st_size for path in self.folder(stage).rglob("*") if path.is_file()) / 1e6

    def source(self, spec: str, needs: Content | None = None) -> Source:
        """Open `--data`, whose records have the content that the experiment `needs`; see `sources.load`.

        Where imported weights are used, the source has their classes, mean and standard deviation.
        """
        source = classes.without_images(self.class_names) if spec == classes.NO_DATA else sources.load(spec, needs)
        source = classes.renumbered(source, self.class_names)
        if self.normalise is None:
            return source
        mean, std = self.normalise
        return dataclasses.replace(source, mean=mean, std=std)

    def train(
        self, records: Records, transform: Transform, batch_size: int, groups: Int[np.ndarray, "N"] | None = None
    ) -> Callable[[int, int], pipeline.TrainIterator]:
        """See `pipeline.train`."""
        order = None if groups is None else GroupedByShape(groups, batch_size, self.seed)
        return pipeline.train(
            records,
            transform,
            batch_size,
            seed=self.seed,
            workers=self.workers,
            order=order,
            strict=self.strict,
        )

    def evaluate(
        self, records: Records, transform: Transform, batch_size: int, groups: Int[np.ndarray, "N"] | None = None
    ) -> Callable[[int, int], pipeline.BatchIterator]:
        """See `pipeline.evaluate`."""
        return pipeline.evaluate(
            records, transform, batch_size, workers=self.workers, groups=groups, strict=self.strict
        )


class Opened(Inputs):
    """Inputs for several experiments in one run: they have the same source, which is read once."""

    def source(self, spec: str, needs: Content | None = None) -> Source:
        """Open `--data` as `Inputs.source` does, or return what the experiment before has opened."""
        return _open(Inputs(normalise=self.normalise, class_names=self.class_names), spec, needs)


@functools.lru_cache(maxsize=1)
def _open(inputs: Inputs, spec: str, needs: Content | None) -> Source:
    return inputs.source(spec, needs)
