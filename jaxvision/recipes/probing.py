"""What probing one encoder and comparing many share: the images with labels, and heads that learn on kept features."""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence

import flax.linen as nn
import jax
import numpy as np
import optax
from jaxtyping import Int

from jaxvision.data.inputs import Inputs
from jaxvision.data.label_subset import Labelled, Rows
from jaxvision.data.records import Records, Source, Subset
from jaxvision.data.transforms import Transform, compose
from jaxvision.evals.probe import head_accuracies
from jaxvision.tasks.probe import Bank, FeatureNorm, linear_probe, remember
from jaxvision.train.hooks import evaluate
from jaxvision.train.types import Data, Hook, Stage, Task, TrainState

Begin = Callable[[TrainState, Mapping[str, TrainState]], TrainState]


@dataclasses.dataclass(frozen=True)
class Heads:
    """Linear heads on frozen features."""

    rates: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # factors of optimizer.lr: a head each, side by side
    held_out: float = 0.2  # share of the images with labels that choose among the heads
    feature_norm: FeatureNorm = "batch"  # batch: a batch norm without scale and shift between encoder and heads

    def task(
        self,
        encoder: nn.Module,
        tx: optax.GradientTransformationExtraArgs,
        source: Source,
        image_size: int,
        bank: Bank | None = None,
    ) -> Task:
        """See `tasks.probe.linear_probe`."""
        return linear_probe(
            encoder,
            tx,
            self.rates,
            source.num_classes,
            image_size=image_size,
            mean=source.mean,
            std=source.std,
            feature_norm=self.feature_norm,
            bank=bank,
        )


@dataclasses.dataclass(frozen=True)
class Examples:
    """Training images of which some have labels, for one or more sizes of that some."""

    records: Records
    subsets: Sequence[Labelled]
    transform: Transform  # as evaluation sees an image
    batch_size: int
    inputs: Inputs

    @property
    def bank(self) -> Bank:
        """How many features are kept."""
        return Bank(len(self._kept), len(self.subsets))

    def stage(self, name: str, task: Task, steps: int, hooks: tuple[Hook, ...], begin: Begin) -> Stage:
        """Heads learn on features that the encoder finds at the stage's start, once `begin` has given it weights."""
        rows = Rows(tuple(np.searchsorted(self._kept, subset.fit) for subset in self.subsets))
        images = self.inputs.evaluate(Subset(self.records, self._kept), self.transform, self.batch_size)

        def warm_start(state: TrainState, finished: Mapping[str, TrainState]) -> TrainState:
            return fill(task, begin(state, finished), images)

        return Stage(name, task, self.inputs.train(rows, compose(), self.batch_size), steps, hooks, warm_start)

    def held_out(self) -> list[Hook]:
        """For each subset a hook that finds every head's accuracy on its held-out images."""
        return [
            evaluate((head_accuracies(),), self.inputs.evaluate(part, self.transform, self.batch_size))
            for part in (Subset(self.records, subset.held_out) for subset in self.subsets)
        ]

    @property
    def _kept(self) -> Int[np.ndarray, " N"]:
        return np.unique(np.concatenate([subset.all for subset in self.subsets]))


def fill(task: Task, state: TrainState, images: Data) -> TrainState:
    """The state with the features of all `images` in its bank. ValueError: some of them cannot be read."""
    predict, features, labels = jax.jit(task.predict), [], []
    with contextlib.closing(images(0, 1)) as batches:  # all of them, in order, in every process
        for batch in batches:
            rows = np.asarray(batch["_mask"])
            features.append(np.asarray(predict(state, {"image": batch["image"]})["features"])[rows])
            labels.append(batch["label"][rows])
    found, wanted = sum(map(len, labels)), len(state.aux["labels"])
    if found != wanted:
        raise ValueError(f"{wanted - found} of {wanted} training images cannot be read, as the log says: remove them")
    return remember(state, np.concatenate(features), np.concatenate(labels))
