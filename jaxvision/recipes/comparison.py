"""One way to compare: variants of experiments, each trained with every seed, then a table and a figure of them all.

A variant is a name and a function that builds its experiment; its stages are called <variant>-<seed>-<stage>, so that a
comparison that was stopped goes on at the variant, the seed and the step where it was.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import jax
import numpy as np

from jaxvision.data.inputs import Inputs, Opened
from jaxvision.recipes.comparison_table import Comparison, Ran, told
from jaxvision.recipes.step_costs import cost_of
from jaxvision.run.config import from_dict
from jaxvision.train.steps import nothing
from jaxvision.train.types import Experiment, Hook, Predict, Result, Say, Stage, Task, TrainState
from jaxvision.train.writer import METRICS, read_metrics

Build = Callable[[Inputs], Experiment]
"""Builds the experiment of a variant, from inputs with the seed and the folders of one of its runs."""

V = TypeVar("V")

Last = Callable[[Mapping[str, str]], Stage]
"""Makes the stage that ends a comparison, from each variant's name and the last stage of its first run."""


def variant(module: ModuleType, config: Any, **changes: Any) -> Build:
    """Return the function that builds an experiment with some of its settings changed.

    Args:
        module: the experiment's module.
        config: its settings.
        **changes: the settings that differ, by flag name; of nested ones with two underscores for the dot, such as
            `optimizer__lr`.
    """
    flat = {name.replace("__", "."): value for name, value in changes.items()}
    return partial(module.build, from_dict(config, flat))


def chosen(flag: str, names: Sequence[str], variants: Mapping[str, V]) -> dict[str, V]:
    """Return the variants that a flag names, in its order.

    Args:
        flag: the flag, such as "--variants".
        names: what it names.
        variants: all there are.

    Raises:
        ValueError: the flag names a variant that does not exist.
    """
    if unknown := [name for name in names if name not in variants]:
        raise ValueError(f"{flag}: there is no {unknown[0]}; known are {', '.join(variants)}")
    return {name: variants[name] for name in names}


def with_shared(settings: Any, config: Any, names: Sequence[str], **more: Any) -> Any:
    """Return the settings of a variant with those that the comparison gives to all.

    Args:
        settings: of the variant's experiment.
        config: of the comparison.
        names: fields that both have, which become the comparison's.
        **more: further fields that change.
    """
    return dataclasses.replace(settings, **{name: getattr(config, name) for name in names}, **more)


def compare(
    builds: Mapping[str, Build],
    inputs: Inputs,
    seeds: int,
    comparison: Comparison,
    *,
    shared: tuple[str, ...] = (),
    last: Last | None = None,
) -> Experiment:
    """Return the experiment that trains variants one after the other and then compares them.

    Args:
        builds: the variants by name, in the order in which they are trained.
        inputs: of the run; `only` chooses among the variants.
        seeds: runs of each variant, with weights, batches and augmentation of their own.
        comparison: what is told in the end.
        shared: stages that are alike for all: the first run that has one does it, for all.
        last: makes the last stage, whose hooks come after the table's; None: it has the table alone.

    Raises:
        ValueError: there is no such variant, or no seed.
    """
    if seeds < 1:
        raise ValueError(f"--seeds={seeds}: should be 1 or more")
    if unknown := [name for name in inputs.only if name not in builds]:
        raise ValueError(f"--only: there is no {unknown[0]}; known are {', '.join(builds)}")
    stages: dict[str, Stage] = {}
    runs: dict[str, list[dict[str, str]]] = {}
    for name in [name for name in builds if not inputs.only or name in inputs.only]:
        tasks: list[Task] = []
        for seed in range(seeds):
            run = f"{name}-{seed}"
            own = builds[name](_inputs(inputs, run, seed, shared)).stages
            tasks = tasks or [stage.task for stage in own]  # seeds share programs, which are compiled once
            named = {stage.name: stage.name if stage.name in shared else f"{run}-{stage.name}" for stage in own}
            runs.setdefault(name, []).append(named)
            for stage, task in zip(own, tasks, strict=True):
                of_run = _of_run(named, stage._replace(task=seeded(task, seed)), run)
                stages.setdefault(of_run.name, of_run)
    names = {name: list(of_seed[0].values()) for name, of_seed in runs.items()}
    end = last({name: own[-1] for name, own in names.items()}) if last else Stage("", nothing(), None, 0)
    first_runs = {name: [stages[full] for full in own] for name, own in names.items()}
    show = Hook("comparison", 0, partial(_show, first_runs, runs, inputs.workdir / METRICS, comparison))
    # A comparison of some variants has a name of its own, as that of all is still to come.
    name = "-".join(["comparison", *(["+".join(inputs.only)] if inputs.only else [])])
    return Experiment((*stages.values(), end._replace(name=name, hooks=(show, *end.hooks))), compares=tuple(builds))


def seeded(task: Task, seed: int) -> Task:
    """Return a task whose first weights and draws are those of a seed; those of 0 are the task's own."""
    if not seed:
        return task
    return task._replace(init=lambda key, batch: task.init(jax.random.fold_in(key, seed), batch))


def _inputs(inputs: Inputs, run: str, seed: int, shared: tuple[str, ...]) -> Opened:
    return Opened(*inputs)._replace(seed=inputs.seed + seed, run=run, shared=shared)


def _of_run(names: Mapping[str, str], stage: Stage, run: str) -> Stage:
    """Return a stage with its name in the comparison; its pictures and texts begin with the run's name."""

    def named(result: Result) -> Result:
        files = {key for key, value in result.items() if isinstance(value, np.ndarray | str)}
        return {f"{run}_{key}" if key in files else key: value for key, value in result.items()}

    def renamed(hook: Hook) -> Hook:
        return hook._replace(run=lambda predict, state: named(hook.run(predict, state)))

    def warm_start(state: TrainState, done: Mapping[str, TrainState]) -> TrainState:
        assert stage.warm_start is not None
        return stage.warm_start(state, {own: done[full] for own, full in names.items() if full in done})

    def make(predict: Predict, state: TrainState, say: Say) -> tuple[TrainState, Result]:
        assert stage.make is not None
        made, result = stage.make(predict, state, say)
        return made, named(result)

    return stage._replace(
        name=names[stage.name],
        hooks=tuple(map(renamed, stage.hooks)),
        warm_start=warm_start if stage.warm_start else None,
        make=make if stage.make else None,
    )


def _show(
    first_runs: Mapping[str, Sequence[Stage]],
    runs: Mapping[str, list[dict[str, str]]],
    metrics: Path,
    comparison: Comparison,
    predict: Predict,
    state: TrainState,
) -> Result:
    """Return the comparison's tables, figures and metrics, from what the runs have written."""
    rows = read_metrics(metrics)
    ran = {
        name: [Ran(own, [row for row in rows if row.get("stage") in own.values()]) for own in seeds]
        for name, seeds in runs.items()
    }
    costs = {name: cost_of(_costly(of_variant)) for name, of_variant in first_runs.items()}
    return told(ran, costs, comparison) | (comparison.more(ran) if comparison.more else {})


def _costly(stages: Sequence[Stage]) -> Stage:
    """Return the stage whose step is counted: the one called train, or else the last that takes steps."""
    training = [stage for stage in stages if stage.steps and stage.data is not None]
    return next((stage for stage in training if stage.name.endswith("-train")), training[-1])
