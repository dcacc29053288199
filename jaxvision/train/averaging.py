"""A moving average of the weights of any task, which is then what is evaluated, predicted with and exported."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from jaxvision.train.steps import ema
from jaxvision.train.types import Batch, Experiment, Key, Metrics, PyTree, Stage, Task, TrainState

AVERAGE = "average"
"""The entry of a state's `aux` that holds the averaged parameters."""


def averaged(task: Task, decay: float) -> Task:
    """Return a task that learns as `task` does and predicts with averaged parameters.

    The average moves when the weights are updated, which with `accumulate` is not in every step. It begins with a lower
    decay, (1 + n) / (10 + n) after n updates, so that the first weights soon count for nothing. Batch statistics are
    those of the trained network.

    Args:
        task: the task, whose `aux` is empty or holds arrays by name.
        decay: the share of itself that the average keeps in an update, at least 0 and below 1.

    Raises:
        ValueError: a decay out of its range.
    """
    if not 0.0 <= decay < 1.0:
        raise ValueError(f"--average_decay={decay:g}: should be at least 0 and below 1, such as 0.999")

    def init(key: Key, batch: Batch) -> TrainState:
        return _with(task.init(key, batch))

    def step(state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        new, metrics = task.step(_without(state), batch, axis_name=axis_name)
        before = _updates(state)
        count = before.astype(jnp.float32)
        share = jnp.minimum(decay, (1.0 + count) / (10.0 + count))
        share = jnp.where(_updates(new) > before, share, 1.0)
        return _with(new, ema(state.aux[AVERAGE], new.params, share)), metrics

    def predict(state: TrainState, batch: Batch) -> PyTree:
        return task.predict(dataclasses.replace(_without(state), params=state.aux[AVERAGE]), batch)

    return task._replace(init=init, step=step, predict=predict)


def averaged_stages(experiment: Experiment, decay: float) -> Experiment:
    """Return the experiment with averaged weights in each stage that takes steps; unchanged for a decay of 0.

    A stage that takes steps starts from the weights that earlier ones trained, one that only looks from their averages.
    """
    if not decay:
        return experiment
    return experiment._replace(stages=tuple(_stage(stage, decay) for stage in experiment.stages))


def _stage(stage: Stage, decay: float) -> Stage:
    task, begin = averaged(stage.task, decay) if stage.steps else stage.task, stage.warm_start
    if begin is None:
        return stage._replace(task=task)

    def warm_start(state: TrainState, finished: Mapping[str, TrainState]) -> TrainState:
        if stage.steps:
            return _with(begin(_without(state), finished))
        return begin(state, {name: _evaluated(trained) for name, trained in finished.items()})

    return stage._replace(task=task, warm_start=warm_start)


def _updates(state: TrainState) -> Int[Array, ""]:
    """Return how often the weights have been updated: in each step, or each time that an optimizer has accumulated."""
    nodes = jax.tree.leaves(state.opt_state, is_leaf=lambda node: isinstance(node, optax.MultiStepsState))
    counts = [node.gradient_step for node in nodes if isinstance(node, optax.MultiStepsState)]
    return jnp.stack(counts).max() if counts else jnp.asarray(state.step)


def _with(state: TrainState, average: PyTree = None) -> TrainState:
    return dataclasses.replace(state, aux={**state.aux, AVERAGE: state.params if average is None else average})


def _without(state: TrainState) -> TrainState:
    aux: dict[str, Any] = {name: value for name, value in state.aux.items() if name != AVERAGE}
    return dataclasses.replace(state, aux=aux)


def _evaluated(state: TrainState) -> TrainState:
    """Return the state with its averaged parameters, if it has any, in the place of the trained ones."""
    return dataclasses.replace(_without(state), params=state.aux[AVERAGE]) if AVERAGE in state.aux else state
