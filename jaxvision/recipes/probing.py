"""The parts that probing one encoder and comparing many share: labelled images, and heads on kept features."""

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
from jaxvision.recipes.backbone import Backbone
from jaxvision.recipes.run_config import BudgetConfig, SplitNames
from jaxvision.tasks.probe import Bank, FeatureNorm, linear_probe, remember
from jaxvision.train.hooks import evaluate
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Data, Hook, Stage, Task, TrainState

Begin = Callable[[TrainState, Mapping[str, TrainState]], TrainState]
"""Takes a stage's new state and the states of finished stages, and returns the state that it starts with."""


@dataclasses.dataclass(frozen=True)
class LinearHeads:
    """The settings of the linear heads that learn on frozen features, side by side."""

    rates: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # factors of optimizer.lr, one head for each
    held_out: float = 0.2  # share of the images with labels that choose among the heads; 0: none, with one rate only
    feature_norm: FeatureNorm = "batch"  # batch: a batch norm without scale and shift between encoder and heads

    def __post_init__(self) -> None:
        if not self.held_out and len(self.rates) != 1:
            raise ValueError("--heads.held_out=0 leaves no images to choose a head by: give --heads.rates one number")

    def task(
        self,
        encoder: nn.Module,
        tx: optax.GradientTransformationExtraArgs,
        source: Source,
        image_size: int,
        bank: Bank | None = None,
    ) -> Task:
        """Return the task of training the heads (`tasks.probe.linear_probe`).

        Args:
            encoder: the network whose features "pool" are frozen.
            tx: the transformation of the gradients, whose updates each head multiplies by its rate.
            source: the data, which give the classes and the normalisation of pixels.
            image_size: height and width of an image in pixels.
            bank: the size of the memory of features; None: features are computed anew in every step.
        """
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
class ProbingConfig(SplitNames, BudgetConfig):
    """The fields that the Configs of the probe and of the comparison share."""

    image_size: int = 32  # height and width of an image in pixels
    heads: LinearHeads = LinearHeads()
    backbone: Backbone = Backbone()
    optimizer: Optimizer = Optimizer(lr=0.1, nesterov=True, schedule="cosine")


@dataclasses.dataclass(frozen=True)
class Examples:
    """The training images, and one or more subsets of them whose labels may be used."""

    records: Records  # all training images
    subsets: Sequence[Labelled]  # rows with labels, one subset for each share of the labels
    transform: Transform  # transform of an image as in evaluation
    batch_size: int
    inputs: Inputs  # opens data for training and evaluation

    @property
    def bank(self) -> Bank:
        """Return the size of the memory: kept images and subsets."""
        return Bank(len(self._kept), len(self.subsets))

    def stage(self, name: str, task: Task, steps: int, hooks: tuple[Hook, ...], begin: Begin) -> Stage:
        """Return a stage in which heads learn on features that are computed once, at the stage's start.

        Args:
            name: the stage's name.
            task: a task of `LinearHeads.task` with this object's `bank`.
            steps: training steps.
            hooks: the stage's hooks.
            begin: gives the stage's state the encoder's weights, before features are computed.
        """
        rows = Rows(tuple(np.searchsorted(self._kept, subset.fit) for subset in self.subsets))
        images = self.inputs.evaluate(Subset(self.records, self._kept), self.transform, self.batch_size)

        def warm_start(state: TrainState, finished: Mapping[str, TrainState]) -> TrainState:
            return fill(task, begin(state, finished), images)

        return Stage(name, task, self.inputs.train(rows, compose(), self.batch_size), steps, hooks, warm_start)

    def held_out(self) -> list[Hook]:
        """Return a hook for each subset: the accuracy of every head on the subset's held-out images."""
        return [
            evaluate((head_accuracies(),), self.inputs.evaluate(part, self.transform, self.batch_size))
            for part in (Subset(self.records, subset.held_out) for subset in self.subsets)
        ]

    @property
    def _kept(self) -> Int[np.ndarray, " N"]:
        return np.unique(np.concatenate([subset.all for subset in self.subsets]))


def fill(task: Task, state: TrainState, images: Data) -> TrainState:
    """Compute the features of all images, and put them and their labels into the state's memory.

    Args:
        task: a task of `LinearHeads.task` with a bank.
        state: the task's state with the encoder's weights.
        images: the kept images with labels, as many as the bank has places.

    Returns:
        The state with a full memory.

    Raises:
        ValueError: some images cannot be read.
    """
    predict, features, labels = jax.jit(task.predict), [], []
    with contextlib.closing(images(0, 1)) as batches:  # all of them, in order, in every process
        for batch in batches:
            rows = np.asarray(batch["_mask"])
            features.append(np.asarray(predict(state, {"image": batch["image"]})["features"])[rows])
            labels.append(batch["label"][rows])
    readable, places = sum(map(len, labels)), len(state.aux["labels"])
    if readable != places:
        raise ValueError(
            f"{places - readable} of {places} training images cannot be read, as the log says: remove them"
        )
    return remember(state, np.concatenate(features), np.concatenate(labels))
