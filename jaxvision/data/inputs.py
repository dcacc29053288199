"""The settings with which every experiment of a run opens its data."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from jaxvision.channels import Channels
from jaxvision.data import classes, pipeline, sources, splits, stand_ins
from jaxvision.data.order import GroupedByShape, Order
from jaxvision.data.pixel_scale import AS_DATA, PixelScale, described
from jaxvision.data.records import Records, Source
from jaxvision.data.source_log import SourceLog
from jaxvision.data.sources import Content
from jaxvision.data.transforms import Transform

ARTEFACTS = "artefacts"  # the folder in a workdir with what stages make, a folder each


class Inputs(NamedTuple):
    """The launcher's flags for data and networks, what is known of imported weights, and methods that open data."""

    seed: int = 0  # of the order and of random transforms
    workers: int = 0  # processes that load ahead; 0: threads of this process
    strict: bool = False  # True to raise for a record that cannot be read instead of skipping it
    normalise: tuple[Channels, Channels] | None = None  # mean and std of imported weights; None: the data's own
    class_names: tuple[str, ...] = ()  # of the network; (): the data's own; `--data=none` has only these
    workdir: Path = Path()  # of the run
    training: bool = True  # False where a trained network is only used: what only the loss needs is not computed
    by_name: bool = False  # True to refuse data with classes that are not among `class_names`
    whole: bool = False  # True to make all of a set without splits its "val"
    log: SourceLog | None = None  # is told of every source that is opened
    precision: str = "float32"  # what networks compute in: float32, bfloat16 or tensorfloat32
    only: tuple[str, ...] = ()  # variants that a comparison trains; (): all
    run: str = ""  # name of this training in a comparison, which begins those of its folders; "": no comparison
    shared: tuple[str, ...] = ()  # stages of a comparison whose folders all its trainings share
    shapes_only: bool = False  # True for a plan: one record stands for all of a batch, and data need not be there

    def folder(self, stage: str) -> Path:
        """Return the folder in the workdir where a stage leaves files for later ones; it may not exist yet."""
        own = self.run and stage not in self.shared
        return self.workdir / ARTEFACTS / (f"{self.run}-{stage}" if own else stage)

    def megabytes(self, stage: str) -> float:
        """Return the size of the files that a stage has left, in megabytes; 0.0 where there are none."""
        return sum(path.stat().st_size for path in self.folder(stage).rglob("*") if path.is_file()) / 1e6

    def source(self, spec: str, needs: Content | None = None, pixels: PixelScale = AS_DATA) -> Source:
        """Open `--data`.

        Args:
            spec: what `--data` says.
            needs: the content that its records must have, see `sources.load`.
            pixels: the recipe's preprocessing. A trained network, and imported weights, keep theirs.

        Returns:
            The source. Its mean and standard deviation are what the network's input is made with. Where a trained
            network is used, it has that network's classes.
        """
        if spec == classes.NO_DATA:
            return self._normalised(classes.without_images(self.class_names), pixels)
        if self.shapes_only and (known := stand_ins.source(spec)) is not None:
            return self._normalised(known, pixels)
        source = sources.load(spec, needs, few_classes=self.by_name)
        source = splits.whole(source) if self.whole else source
        if self.by_name and needs is not None:
            source = classes.by_name(spec, source, self.class_names)
        else:
            source = classes.renumbered(source, self.class_names)
        source = self._normalised(source, pixels)
        if self.log is not None:
            self.log.add(spec, source, strict=self.strict)
        return source

    def _normalised(self, source: Source, pixels: PixelScale) -> Source:
        wanted = pixels.of(source.mean, source.std)
        mean, std = self.normalise or wanted
        if self.log is not None and pixels != AS_DATA and (mean, std) != wanted:
            self.log.say(
                f"pixels: {described(mean, std)}, as the weights were trained; the recipe has: {described(*wanted)}"
            )
        return dataclasses.replace(source, mean=mean, std=std)

    def train(
        self,
        records: Records,
        transform: Transform,
        batch_size: int,
        groups: Int[np.ndarray, "N"] | None = None,
        order: Order | None = None,
    ) -> Callable[[int, int], pipeline.TrainIterator | stand_ins.OneForAll]:
        """Return a function that opens training data; see `pipeline.train`.

        Args:
            records: The records of a split.
            transform: Turns each record into arrays of one shape.
            batch_size: The rows of a batch over all processes.
            groups: The group of each record, such as `canvas.Canvases.groups`; a batch holds records of one group.
            order: The order of records where there are no groups; None: shuffled.

        Returns:
            A function of the number of this process and the number of processes.

        Raises:
            ValueError: There are no records, or `batch_size` is below 1.
        """
        if self.shapes_only:
            return stand_ins.one_for_all(records, transform, batch_size, masked=False)
        order = order if groups is None else GroupedByShape(groups, batch_size, self.seed)
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
    ) -> Callable[[int, int], pipeline.BatchIterator | stand_ins.OneForAll]:
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
        if self.shapes_only:
            return stand_ins.one_for_all(records, transform, batch_size, masked=True)
        return pipeline.evaluate(
            records, transform, batch_size, workers=self.workers, groups=groups, strict=self.strict
        )

    def alone(self) -> "Inputs":
        """Return these inputs without what differs between the experiments of one run: seed, workers and folders."""
        return Inputs(*self)._replace(seed=0, workers=0, workdir=Path(), only=(), run="", shared=())


class Opened(Inputs):
    """Inputs for several experiments in one run that share a source, which is opened once."""

    def source(self, spec: str, needs: Content | None = None, pixels: PixelScale = AS_DATA) -> Source:
        """Open `--data` as `Inputs.source` does, or return what the experiment before has opened.

        Args:
            spec: what `--data` says.
            needs: the content that its records must have.
            pixels: the recipe's preprocessing.

        Returns:
            The source.
        """
        return _open(self.alone(), spec, needs, pixels)


@functools.lru_cache(maxsize=1)
def _open(inputs: Inputs, spec: str, needs: Content | None, pixels: PixelScale) -> Source:
    return inputs.source(spec, needs, pixels)
