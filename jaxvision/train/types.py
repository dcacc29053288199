"""The contract between the one training loop and everything that is trained.

An experiment is a tuple of stages; a stage gives the loop a `Task` (three pure functions), data, and hooks.
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import flax.struct
import jax
import numpy as np

Key: TypeAlias = jax.Array
"""A raw uint32 PRNG key, `jax.random.PRNGKey(seed)`: an ordinary array, so that it can be saved as one."""
PyTree: TypeAlias = Any
Batch: TypeAlias = Mapping[str, Any]
"""Arrays with one leading batch dimension and static shapes."""
Metrics: TypeAlias = Mapping[str, jax.Array]
"""Scalars."""


@flax.struct.dataclass
class TrainState:
    """Everything that is needed to go on training. Arrays only (or, in an abstract state, their shapes)."""

    step: Any  # int32 []: steps done
    params: PyTree  # one tree, or one for each network: {"generator": …, "discriminator": …}
    opt_state: PyTree  # the same top-level keys as params
    model_state: PyTree  # mutable linen collections: {"batch_stats": …}
    aux: PyTree  # what the task carries besides: averaged parameters, a queue of keys
    key: Any  # uint32 [2]: the root key, only ever folded with the step, never split in place


class Task(NamedTuple):
    """What is learned and how: pure functions, which the loop compiles."""

    init: Callable[[Key, Batch], TrainState]
    step: Callable[..., tuple[TrainState, Metrics]]  # step(state, batch, *, axis_name=None)
    predict: Callable[[TrainState, Batch], PyTree]  # evaluation mode; every output has a leading batch dimension
    see: Callable[[TrainState, Batch], jax.Array] | None = None  # see below
    """Where a step makes the network's V inputs of each image itself: they, as uint8 [B, V, h, w, 3], for pictures of
    the data. Of the state the key and the step are used."""


Predict: TypeAlias = Callable[[TrainState, Batch], PyTree]
"""A compiled `Task.predict`: takes and returns the rows of this process, as NumPy arrays."""

Result: TypeAlias = dict[str, Any]
"""Values by name: a float is a metric, a uint8 array [H, W, 3] a picture, a str a text such as a table,
or a whole page where the name ends in .html or .json."""


class Hook(NamedTuple):
    """Something to look at every so many steps and at the end. Metrics and pictures are one concept."""

    name: str
    every: int  # steps; 0: only at the end
    run: Callable[[Predict, TrainState], Result]


class Metric(NamedTuple):
    """A figure over a whole data set, accumulated on the host. `init() + s == s`; two processes' states are added."""

    init: Callable[[], Any]
    update: Callable[[Any, PyTree, Batch], Any]  # update(state, outputs, batch); batch["_mask"] marks real rows
    result: Callable[[Any], Result]
    merge: Callable[[Any, Any], Any] = operator.add


@runtime_checkable
class Batches(Protocol):
    """One process's batches, in order. Endless ones, to train on, also have `get_state` and `set_state`."""

    def __iter__(self) -> Iterator[Batch]: ...
    def __next__(self) -> Batch: ...
    def close(self) -> None: ...


Data: TypeAlias = Callable[[int, int], Batches]
"""`data(shard, shards)` opens one process's share."""


Say: TypeAlias = Callable[[str], None]
"""Shows a person one line, such as how far something is."""

Make: TypeAlias = Callable[[Predict, TrainState, Say], tuple[TrainState, Result]]
"""What a stage does that takes no steps: it solves for its state, or writes files for later stages and goes on from
those that it finds. It is called until it returned once; then the state is saved and the result written."""


class Stage(NamedTuple):
    """One run of the loop."""

    name: str
    task: Task
    data: Data | None  # None only when steps is 0
    steps: int  # 0: `make`, where there is one, and the hooks
    hooks: tuple[Hook, ...] = ()
    warm_start: Callable[[TrainState, Mapping[str, TrainState]], TrainState] | None = None  # (state, finished stages)
    make: Make | None = None  # only when steps is 0


class Shown(NamedTuple):
    """How much of what was found in an image is drawn over it."""

    min_score: float | None = None  # least score; None: the experiment's own
    most: int = 100  # most detections or classes, the best ones


class Presentation(NamedTuple):
    """How `--mode=predict` reads a user's images and shows what the network says of them."""

    data: Callable[[Any], Data]  # image records -> batches, transformed as in evaluation
    describe: Callable[[PyTree, Batch, int], dict[str, Any]]  # (outputs, batch, row) -> what to say of an image
    draw: Callable[[PyTree, Batch], np.ndarray]  # (outputs, batch) -> uint8 [H, W, 3]
    document: Callable[[list[dict[str, Any]]], Any] = list  # what was said, each with its "file" -> predictions.json
    label_map: Callable[[PyTree, Batch, int], np.ndarray] | None = None  # (outputs, batch, row) -> uint8 [H, W], a PNG
    # (image uint8 [H, W, 3], outputs, batch, row, how much) -> the image at its own size with what was found in it
    overlay: Callable[[np.ndarray, PyTree, Batch, int, Shown], np.ndarray] | None = None
    # How `data` resizes an image, for programs that do it themselves: see `run.export_scripts`.
    prepare: Mapping[str, Any] = {}


class Sampler(NamedTuple):
    """How `--mode=sample` draws latents for the generator of the last stage, whose `predict` reads "z" and "label"."""

    draw: Callable[[np.random.Generator, int], np.ndarray]  # (generator, N) -> float32 [N, Z]
    between: Callable[[np.ndarray, np.ndarray, int], np.ndarray]  # (start [N, Z], end [N, Z], S) -> float32 [N, S, Z]
    class_names: tuple[str, ...] = ()  # of a generator that is given labels


class Experiment(NamedTuple):
    """Stages in order; a later one may start from what an earlier one learned."""

    stages: tuple[Stage, ...]
    presentation: Presentation | None = None
    best: str = ""  # the metric whose highest value marks the checkpoint to keep, for example "val/accuracy"
    sampler: Sampler | None = None  # of a generator of images
    compares: tuple[str, ...] = ()  # the variants of a comparison, which `--only` chooses from
    embedding: Callable[[Any], Data] | None = None  # image records -> batches whose "features" are to be looked at

    @classmethod
    def single(cls, task: Task, data: Data, steps: int, hooks: tuple[Hook, ...] = (), **fields: Any) -> "Experiment":
        """Make an experiment of one stage, called "train".

        Args:
            task: what is learned.
            data: the batches that it is trained on.
            steps: the number of training steps.
            hooks: what looks at the state during training and at its end.
            **fields: other fields of the experiment, such as `presentation` and `best`.

        Returns:
            The experiment.
        """
        return cls((Stage("train", task, data, steps, hooks),), **fields)
