"""The settings with which every experiment of a run opens its data."""

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
    """The launcher's flags for data, the normalisation and classes of imported weights, and methods that open data."""

    seed: int = 0  # of the order and of random transforms
    workers: int = 0  # processes that load ahead; 0: threads of this process
    strict: bool = False  # True to raise for a record that cannot be read instead of skipping it
    normalise: tuple[Channels, Channels] | None = None  # mean and std of imported weights; None: the data's own
    class_names: tuple[str, ...] = ()  # of imported weights; (): the data's own; `--data=none` has only these
    workdir: Path = Path()  # of the run

    def folder(self, stage: str) -> Path:
        """Return the folder in the workdir where a stage leaves files for later ones; it may not exist yet."""
        return self.workdir / ARTEFACTS / stage

    def megabytes(self, stage: str) -> float:
        """Return the size of the files that a stage has left, in megabytes; 0.0 where there are none."""
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
        """Return a function that opens training data; see `pipeline.train`.

        Args:
            records: The records of a split.
            transform: Turns each record into arrays of one shape.
            batch_size: The rows of a batch over all processes.
            groups: The group of each record, such as `canvas.Canvases.groups`; a batch holds records of one group.

        Returns:
            A function of the number of this process and the number of processes.

        Raises:
            ValueError: There are no records, or `batch_size` is below 1.
        """
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
        """Return a function that opens evaluation data; see `pipeline.evaluate`.

        Args:
            records: The records of a split.
            transform: Turns each record into arrays of one shape, or of one shape for each group.
            batch_size: The rows of a batch over all processes.
            groups: The group of each record; a batch holds records of one group.

        Returns:
            A function of the number of this process and the number of processes.

        Raises:
            ValueError: There are no records, or `batch_size` is below 1.
        """
        return pipeline.evaluate(
            records, transform, batch_size, workers=self.workers, groups=groups, strict=self.strict
        )


class Opened(Inputs):
    """Inputs for several experiments in one run that share a source, which is opened once."""

    def source(self, spec: str, needs: Content | None = None) -> Source:
        """Open `--data` as `Inputs.source` does, or return what the experiment before has opened."""
        return _open(Inputs(normalise=self.normalise, class_names=self.class_names), spec, needs)


@functools.lru_cache(maxsize=1)
def _open(inputs: Inputs, spec: str, needs: Content | None) -> Source:
    return inputs.source(spec, needs)
