"""Trainings to the end beside a torch twin: same data, same batches, same budget, same evaluation, several seeds.

    python benchmarks/twins.py --fashion=idx:fashion-mnist --only=fashion_resnet20
    python benchmarks/twins.py --bccd=voc:bccd --camvid=masks:camvid,ignore=11 --cifar10=folder:cifar10 --steps=300

The twin is an independent network and optimizer in torch (`twin_networks`, `twin_learners`). It is given the batches of
our pipeline, whose augmentation is the experiment's, and its outputs are measured by our metrics. Weights and, in GANs,
latents are drawn by each side for itself. Prints one table of the final figures, mean ± standard deviation over the
seeds, and how far the means are apart in standard deviations. The target is 1.

A run that is finished is not repeated: its result lies in --workdir, in a folder of the case and its number of steps.
With --seconds a command ends in time, saves what it was at, and goes on from there when it is repeated (exit code 75).
"""

import itertools
import json
import pathlib
import statistics
import subprocess
import sys
import time
from typing import NamedTuple

import turns
from absl import app, flags
from twin_cases import CASES, Task

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from jaxvision.run import xla

SIDES = ("jaxvision", "torch")
STOPPED = 75  # exit code of a command whose time was up, and of the processes that it starts
_ONLY = flags.DEFINE_list("only", [], f"trainings, of {', '.join(CASES)}; none: all whose data are given")
_DATA = {
    name: flags.DEFINE_string(name, "", f"--data of {name}, such as {example}")
    for name, example in {
        "fashion": "idx:fashion-mnist",
        "cifar10": "folder:cifar10",
        "bccd": "voc:bccd",
        "camvid": "masks:camvid,ignore=11",
    }.items()
}
_STEPS = flags.DEFINE_integer("steps", 0, "training steps of every case; 0: its own number", lower_bound=0)
_SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "seeds, for each of which both sides train")
_WORKDIR = flags.DEFINE_string("workdir", "runs/twins", "folder of checkpoints and results")
_SECONDS = flags.DEFINE_float("seconds", 0.0, "stop after about so many seconds and save; 0: run to the end")
_CHILD = flags.DEFINE_string(
    "child", "", "the one training of a process that this script starts: NAME,SIDE,SEED,SECONDS"
)
flags.register_validator("only", lambda names: set(names) <= set(CASES), f"choose of {', '.join(CASES)}")


class Figures(NamedTuple):
    """One side's final figures, and the minutes of their training steps."""

    values: list[float]
    minutes: list[float]

    def __str__(self) -> str:
        return f"{statistics.mean(self.values):.4f} ± {spread(self.values):.4f}"


def main(argv: list[str]) -> None:
    del argv
    if _CHILD.value:
        name, side, seed, seconds = _CHILD.value.split(",")
        _run(_task(name, int(seed)), side, float(seconds))
        return
    turns.require("twins.py", "torch", "torchvision")
    began = time.monotonic()
    for name in _ONLY.value or CASES:
        if not _DATA[CASES[name].flag].value:
            print(f"{name}: left out, its data are not given (--{CASES[name].flag}=…)", flush=True)
            continue
        for seed, side in itertools.product(map(int, _SEEDS.value), SIDES):
            task = _task(name, seed)
            if _result(task, side).exists():
                continue
            left = _SECONDS.value - (time.monotonic() - began) if _SECONDS.value else 0.0
            _in_a_process(task, side, left)
    _print_table()


def _task(name: str, seed: int) -> Task:
    steps = _STEPS.value or CASES[name].steps
    folder = pathlib.Path(_WORKDIR.value) / f"{name}-{steps}"
    return Task(name, _DATA[CASES[name].flag].value, steps, seed, folder)


def _result(task: Task, side: str) -> pathlib.Path:
    return task.folder / f"{side}-{task.seed}.json"


def _in_a_process(task: Task, side: str, seconds: float) -> None:
    """Run one side of one seed; end the command if its time was up or it failed."""
    if _SECONDS.value and seconds < 5:
        _stop(task, side)
    child = f"--child={task.name},{side},{task.seed},{seconds:.0f}"
    code = subprocess.call([sys.executable, *sys.orig_argv[1:], child])
    if code in (STOPPED, -15):  # -15: before training had begun to listen
        _stop(task, side)
    if code:
        sys.exit(f"{task.name}, {side}, seed {task.seed}: failed, for the reason above")


def _stop(task: Task, side: str) -> None:
    print(f"time is up in {task.name}, {side}, seed {task.seed}: repeat the command to go on", flush=True)
    sys.exit(STOPPED)


def _run(task: Task, side: str, seconds: float) -> None:
    """Train one side in this process, and write its result."""
    xla.configure()
    import twin_ours

    from jaxvision.train.signals import Interrupted

    began = time.monotonic()
    try:
        if twin_ours.has_judge(task):
            twin_ours.train_judge(task, seconds)
        left = max(seconds - (time.monotonic() - began), 1.0) if seconds else 0.0
        if side == "jaxvision":
            result = twin_ours.train(task, task.folder / f"{side}-{task.seed}", left)
        else:
            import twin_torch

            result = twin_torch.train(task, task.folder / f"{side}-{task.seed}", left)
    except Interrupted:
        sys.exit(STOPPED)
    twin_ours.write(_result(task, side), result)
    minutes = result["seconds"] / 60
    print(f"{task.name}, {side}, seed {task.seed}: {result['figure']:.4f}, {minutes:.1f} minutes", flush=True)


def _print_table() -> None:
    """Print all cases of which every seed is there, at this number of steps."""
    print("\n| training | steps | figure | seeds | jaxvision | torch | apart | minutes, jaxvision / torch |")
    print("|---|---|---|---|---|---|---|---|")
    for name, case in CASES.items():
        sides = {side: _figures(name, side) for side in SIDES}
        if not all(sides.values()):
            continue
        ours, theirs = sides.values()
        both = statistics.mean([spread(one.values) ** 2 for one in (ours, theirs)]) ** 0.5
        apart = abs(statistics.mean(ours.values) - statistics.mean(theirs.values)) / both if both else float("nan")
        minutes = " / ".join(f"{statistics.mean(one.minutes):.1f}" for one in (ours, theirs))
        figure, steps = case.figure.rstrip("_"), _task(name, 0).steps
        print(f"| {name} | {steps} | {figure} | {len(ours.values)} | {ours} | {theirs} | {apart:.1f} | {minutes} |")


def _figures(name: str, side: str) -> Figures | None:
    found = [_result(_task(name, int(seed)), side) for seed in _SEEDS.value]
    if not all(path.exists() for path in found):
        return None
    results = [json.loads(path.read_text()) for path in found]
    return Figures([one["figure"] for one in results], [one["seconds"] / 60 for one in results])


def spread(values: list[float]) -> float:
    """Return the standard deviation of a sample; 0 of a single value."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


if __name__ == "__main__":
    xla.reexec_with_huge_pages()
    app.run(main)
