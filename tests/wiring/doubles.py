"""Doubles of data, tasks and hooks that keep what an experiment gave them, so that it is built without data or jax."""

import contextlib
import functools
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
import pytest

import jaxvision.tasks
from experiments.ssl import colorization
from jaxvision.data import inputs, pipeline, pixel_weights, sources
from jaxvision.data.canvas import Canvases
from jaxvision.data.proposals import Stored
from jaxvision.data.records import Record, Records, Source
from jaxvision.data.sources import Content
from jaxvision.data.windows import Windows
from jaxvision.ops import permutations
from jaxvision.recipes import rcnn_windows, searched_proposals
from jaxvision.recipes.searched_proposals import SelectiveSearchFlags
from jaxvision.run.experiments import experiments
from jaxvision.run.experiments import load as load_experiment
from jaxvision.tasks.rcnn import Look
from jaxvision.train import hooks
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Data, Hook, Metrics, Task, TrainState

RECORDS = 1100  # in each split, so that val[:1024] is a part of it
MEAN, STD = (101.0, 102.0, 103.0), (51.0, 52.0, 53.0)
CLASSES = tuple("abcdefg")


class Split:
    """The records of a split of any data set, tiny images in colours."""

    def __init__(self, name: str) -> None:
        self.split = name

    def __len__(self) -> int:
        return RECORDS

    def __getitem__(self, index: int) -> Record:
        return {"image": np.full((8, 8, 3), (0, 90, 200), np.uint8), "label": index % len(CLASSES)}

    def name(self, index: int) -> str:
        return f"{self.split}/{index}"


class Reading(NamedTuple):
    """A call of `pipeline.train` or `pipeline.evaluate`; opened it gives itself, also where it was made lazily."""

    kind: str  # train or evaluate
    records: Records
    transform: Any
    batch_size: int
    order: Any  # of training batches, None if shuffled

    def __call__(self, shard: int, shards: int) -> "Reading":
        return self


class Updates(optax.GradientTransformationExtraArgs):
    """What `Optimizer.make` returns, with the settings that it was made from."""

    optimizer: Optimizer
    steps: int


class Weights(np.ndarray):
    """Weights of classes or colours, and where they come from in words."""

    origin: str


class NoBoxes(Stored):
    """Proposals of no image, whose folder names the split and the flags that they were searched with."""

    def __getitem__(self, index: int) -> np.ndarray:
        return np.zeros((0, 4), np.float32)


class Looking(NamedTuple):
    """The `run` of a hook, with the data that it reads."""

    data: Data

    def __call__(self, predict: Any, state: TrainState) -> dict[str, Any]:
        raise AssertionError("no hook is run")


@contextlib.contextmanager
def recording() -> Iterator[None]:
    """Put the doubles in the place of everything that reads data, or would make a task or a hook."""
    tasks = [
        importlib.import_module(f"jaxvision.tasks.{m.name}") for m in pkgutil.iter_modules(jaxvision.tasks.__path__)
    ]
    with without_data(_load) as patch:
        for module in tasks:
            for make in _factories(module):
                _replace(patch, make, _task_double(make))
        _replace(patch, colorization.frequencies, lambda setup, bins: setup.config.train_split)
        _replace(
            patch, colorization.rebalancing, lambda split, bins, share: _weights(f"colours of {split}, λ {share:g}")
        )
        patch.setattr(Optimizer, "make", _make)
        patch.setattr(Look, "widths", lambda self: (100, 200))
        yield


@contextlib.contextmanager
def without_data(load: Callable[..., Source]) -> Iterator[pytest.MonkeyPatch]:
    """Put the doubles in the place of everything that reads data, and `load` in that of `sources.load`."""
    for name in experiments():
        load_experiment(name)
    with pytest.MonkeyPatch.context() as patch:
        _replace(patch, hooks.evaluate, _evaluate)
        _replace(patch, hooks.picture, _picture)
        _replace(patch, pixel_weights.median_frequency, _median_frequency)
        _replace(patch, pixel_weights.balanced, _balanced)
        _replace(patch, searched_proposals.search_split, _search_split)
        _replace(patch, rcnn_windows.labelled_windows, _labelled_windows)
        _replace(patch, permutations.spread, lambda count: np.zeros((count, 9), np.int32))
        patch.setattr(sources, "load", load)
        patch.setattr(pipeline, "train", _train)
        patch.setattr(pipeline, "evaluate", _evaluation)
        patch.setattr(jax, "local_device_count", lambda: 1)
        patch.setattr(Canvases, "groups", lambda self, records: np.zeros(len(records), np.int64))
        _forget()
        yield patch
        _forget()


def _forget() -> None:
    """Clear the caches that would hand doubles to other tests, or what those opened to these."""
    inputs._open.cache_clear()


def _factories(module: Any) -> list[Callable[..., Task]]:
    functions = [f for _, f in inspect.getmembers(module, inspect.isfunction) if f.__module__ == module.__name__]
    public = [f for f in functions if not f.__name__.startswith("_")]
    return [f for f in public if inspect.signature(f).return_annotation is Task]


def _replace(patch: pytest.MonkeyPatch, original: Any, double: Any) -> None:
    """Replace a function in all modules that have imported it."""
    for name, module in list(sys.modules.items()):
        if name.startswith(("jaxvision.", "experiments.")):
            for attribute in [a for a, value in vars(module).items() if value is original]:
                patch.setattr(module, attribute, double)


def _task_double(make: Callable[..., Task]) -> Callable[..., Task]:
    """Return a function that makes a task whose step puts what the task was made of into "given" of `aux`."""

    @functools.wraps(make)
    def double(*args: Any, **kwargs: Any) -> Task:
        bound = inspect.signature(make).bind(*args, **kwargs)
        bound.apply_defaults()
        inner = next((value for value in bound.arguments.values() if isinstance(value, Task)), None)

        def step(state: TrainState, batch: Any, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
            metrics = inner.step(state, batch)[1] if inner else {}
            state.aux["given"].append((make.__name__, dict(bound.arguments)))
            return state, metrics

        return Task(_not_run, step, _not_run)

    return double


def _not_run(*args: Any) -> Any:
    raise AssertionError("no task is run")


def _load(spec: str, needs: Content | None = None, **settings: Any) -> Source:
    return Source({name: Split(name) for name in ("train", "val", "trainval", "test")}, CLASSES, MEAN, STD)


def _train(records: Records, transform: Any, batch_size: int, *, order: Any = None, **settings: Any) -> Reading:
    return Reading("train", records, transform, batch_size, order)


def _evaluation(records: Records, transform: Any, batch_size: int, **settings: Any) -> Reading:
    return Reading("evaluate", records, transform, batch_size, None)


def _make(optimizer: Optimizer, steps: int) -> Updates:
    updates = Updates(_not_run, _not_run)
    updates.optimizer, updates.steps = optimizer, steps
    return updates


def _evaluate(metrics: Any, data: Data, *, every: int = 0, name: str = "val") -> Hook:
    return Hook(name, every, Looking(data))


def _picture(name: str, data: Data, draw: Any, *, every: int = 0) -> Hook:
    return Hook(name, every, Looking(data))


def _median_frequency(records: Any, num_classes: int) -> Weights:
    return _weights(f"median frequency of {records.split}", num_classes)


def _balanced(records: Any, num_classes: int) -> Weights:
    return _weights(f"balance of {records.split}", num_classes)


def _weights(origin: str, count: int = len(CLASSES)) -> Weights:
    weights = np.ones(count, np.float32).view(Weights)
    weights.origin = origin
    return weights


def _search_split(inputs: Any, data: str, split: str, records: Records, search: SelectiveSearchFlags) -> Stored:
    return NoBoxes(Path(f"{split}, {search.strategy}, at most {search.most}"), len(records))


def _labelled_windows(split: Any, positive_iou: float) -> Windows:
    labels = np.arange(8, dtype=np.int32) % 4
    return Windows(split.records, np.arange(8), np.zeros((8, 4), np.float32), labels)
