"""The table of an experiment: for its presets what each stage is trained on, validated on and given.

python -m tests.wiring.table ssl/simclr  # prints it, to be checked against the paper
python -m tests.wiring.table --write ssl/simclr ssl/moco  # writes tests/wiring/ssl/simclr.txt and moco.txt
"""

import collections
import dataclasses
import functools
import sys
from pathlib import Path
from typing import Any

import numpy as np

from jaxvision.data.inputs import Inputs
from jaxvision.run.experiments import load
from jaxvision.train.types import Experiment, Stage, TrainState
from tests.wiring import wording
from tests.wiring.doubles import Split, recording

FOLDER = Path(__file__).parent
LEFT_OUT = ("photos", "fashion", "ideas", "smoke")  # of this project: `quick` on other data, or with parts changed
CHANGED: dict[str, dict[str, Any]] = {"ssl/probe": {"method": "finetune"}}  # quick with another task


def path(name: str) -> Path:
    """Return the file that holds an experiment's table."""
    return FOLDER / f"{name}.txt"


def table(name: str) -> str:
    """Build an experiment with doubles, and say what was wired to what. To be called within `recording`."""
    module = load(name)
    configs = presets(name, LEFT_OUT)
    for flag, choice in CHANGED.get(name, {}).items():
        configs[f"quick --{flag}={choice}"] = dataclasses.replace(configs["quick"], **{flag: choice})
    return "\n".join(f"[{title}]\n{_experiment(config, module)}" for title, config in configs.items())


def presets(name: str, left_out: tuple[str, ...]) -> dict[str, Any]:
    """Return an experiment's presets by name but for some, each once: one may have two names."""
    configs: dict[str, Any] = {}
    for preset, config in load(name).PRESETS.items():
        if preset not in left_out and config not in configs.values():
            configs[preset] = config
    return configs


def _experiment(config: Any, module: Any) -> str:
    experiment: Experiment = module.build(config, Inputs())
    lines, bodies = [f"data: {config.data}"], {}
    if experiment.best:
        lines.append(f"best checkpoint by: {experiment.best}")
    if decay := getattr(config, "average_decay", 0.0):
        lines.append(f"average of the weights: decay {decay:g}")
    for stage in experiment.stages:
        body = _stage(stage)
        before = bodies.setdefault("\n".join(body), stage.name)
        lines += [f"stage {stage.name}: {stage.steps} steps", *_start(stage)]
        lines += body if before == stage.name else [f"  otherwise as {before}"]
    if experiment.presentation:
        files = experiment.presentation.data(Split("a user's images"))
        lines.append(f"predict: {wording.reading(files(0, 1))}")
    return "\n".join(lines) + "\n"


def _start(stage: Stage) -> list[str]:
    return [f"  starts: {wording.start(stage)}"] if stage.warm_start else []


def _stage(stage: Stage) -> list[str]:
    lines = []
    if stage.data is not None:
        lines.append(f"  data: {wording.reading(stage.data(0, 1))}")
    seen: dict[str, list[str]] = collections.defaultdict(list)
    for hook in stage.hooks:
        if found := wording.readings(hook.run):
            seen["; ".join(map(wording.reading, found))].append(hook.name)
    lines += [f"  {', '.join(names)}: {found}" for found, names in seen.items()]
    metrics, given = _step(stage)
    lines += [f"  {key}: {_course(rates)}" for key, rates in metrics.items()]
    for factory, arguments in given:
        lines.append(f"  task: {factory}")
        for name, value in _network(arguments).items():
            lines += [f"    {key}: {text}" for key, text in wording.settings(name, value).items()]
    return lines


def _step(stage: Stage) -> tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]:
    """Return the learning rates of the first step, the middle one and the last, and the arguments of each factory."""
    steps = np.array([0, stage.steps // 2, max(stage.steps - 1, 0)], np.int32)
    state = TrainState(steps, {}, collections.defaultdict(tuple), {}, {"given": []}, None)
    _, metrics = stage.task.step(state, {})
    return dict(metrics), state.aux["given"]


def _course(rates: Any) -> str:
    """Say how a learning rate goes. Below a ten thousandth of the largest it is called 0: single precision."""
    shares = np.broadcast_to(np.asarray(rates, np.float64), (3,))
    first, middle, last = (f"{rate:.3g}" if rate > 1e-4 * shares.max() else "0" for rate in shares)
    return f"{first} at first, {middle} in the middle, {last} at last"


def _network(arguments: dict[str, Any]) -> dict[str, Any]:
    """Make the network of a contrastive method, which depends on the devices or groups of its batch norm."""
    make = arguments.get("network")
    if not isinstance(make, functools.partial):
        return arguments
    return {**arguments, "network": make(arguments.get("groups", "the axis of devices"))}


def main(arguments: list[str]) -> None:
    """Print or write the tables of the experiments that are named."""
    with recording():
        for name in (a for a in arguments if a != "--write"):
            text = table(name)
            if "--write" in arguments:
                path(name).parent.mkdir(exist_ok=True)
                path(name).write_text(text)
            else:
                print(text)


if __name__ == "__main__":
    main(sys.argv[1:])
