"""Every preset that names a paper, for a few steps on small data: trained, stopped, gone on with, evaluated.

    python benchmarks/presets.py                                    # all that have not run yet, one after the other
    python benchmarks/presets.py --presets='ssl/*,detection/faster_rcnn:fpn'
    python benchmarks/presets.py --pieces=400                       # ends after so many seconds; repeated, it goes on
    python benchmarks/presets.py --list

Each runs as `launch.py` would run it, at its own image size and on a set in the layout of the paper's, which
`preset_data` draws; only batches, numbers of steps and what `CHANGED` names are cut. A first process is told to stop
once it has taken a step; a second one, with the same command, goes on from there, evaluates and ends. Printed and kept
in presets.jsonl are the seconds and the peak memory of both; presets.md has all as a table. What failed is named, with
the last line that it wrote. XLA compiles without optimisation, which would take longer than these few steps do, unless
the environment has XLA_FLAGS; programs that an earlier process has compiled come from jax's cache. Seconds are no
measure of a preset's speed.
"""

import fnmatch
import functools
import json
import math
import os
import pathlib
import platform
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from importlib import metadata
from typing import Any, NamedTuple

import preset_data
from absl import app, flags

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

STEPS = 4  # training steps of every stage: three before the signal has come through, one after
OWN = ("quick", "photos", "fashion", "ideas", "smoke")  # presets of this project, which name no paper
# Beside batches and steps, for an experiment or one of its presets.
CHANGED: dict[str, dict[str, Any]] = {
    "detection/lineage": {"methods": "faster_rcnn,yolo"},
    "detection/rcnn": {"batch_size": 16, "proposals.most": 100},
    "detection/selective_search": {"split": "test[:2]"},
    "gan": {"batch_size": 16},
    "ssl/compare": {"shares": "0.5,1", "methods": "rotation,simclr"},
    "ssl/moco": {"batch_size": 4, "groups": 2},
}
# Settings of XLA by which programs compile soonest, where the installed jaxlib has them.
HASTY = {
    "xla_backend_optimization_level": "0",
    "xla_cpu_use_fusion_emitters": "false",
    "xla_cpu_parallel_codegen_split_count": "1",
}
STOPPED = 75  # exit code of a command whose time was up
OTHER_LAYOUTS = {"classification/resnet:paper": {"folder": "folder:imagenet"}}  # further runs, with other --data

_PRESETS = flags.DEFINE_list("presets", ["*"], "names, or patterns of names, such as ssl/moco:v1 or 'detection/*'")
_FOLDER = flags.DEFINE_string("folder", "runs/presets", "where data, runs under way and the results lie")
_BATCH = flags.DEFINE_integer("batch_size", 2, "images in a step, unless CHANGED says more", lower_bound=1)
_SECONDS = flags.DEFINE_float("seconds", 1200, "seconds after which a preset is stopped and has failed")
_PIECES = flags.DEFINE_float("pieces", 0, "seconds after which the command ends, to be repeated; 0: when all is done")
_MEMORY = flags.DEFINE_float("memory", 5.0, "GiB of a process's memory above which a preset has failed")
_AGAIN = flags.DEFINE_bool("again", False, "also presets that presets.jsonl has a result of")
_LIST = flags.DEFINE_bool("list", False, "only print the names")


class Run(NamedTuple):
    """A preset and the flags that cut it."""

    name: str  # <area>/<experiment>:<preset>, and :<layout> for other data than the preset's
    flags: dict[str, Any]  # by name

    @property
    def command(self) -> list[str]:
        """Return the flags of launch.py."""
        experiment, preset, *_ = self.name.split(":")
        cut = [f"--{name}={value}" for name, value in self.flags.items()]
        return [f"--experiment={experiment}", f"--preset={preset}", *cut]


class Limits(NamedTuple):
    """What a preset may take at most."""

    seconds: float  # of both processes together
    gib: float  # memory of each process


class Ended(NamedTuple):
    """A process that has ended."""

    code: int
    seconds: float
    peak_mib: int
    lines: list[str]
    reason: str = ""  # why it was ended by force
    late: bool = False  # its time was up

    @property
    def failure(self) -> str:
        """Return why it failed, "" where it did not."""
        last = next((line for line in reversed(self.lines) if line.strip()), "")
        stopped = self.code in (0, -signal.SIGTERM)  # the latter between two stages
        return self.reason or ("" if stopped else f"exit code {self.code}: {last.strip()[:200]}")


def runs(batch_size: int) -> list[Run]:
    """Return all presets that name a paper, each once, in the order of their names."""
    from jaxvision.run.config import to_dict
    from jaxvision.run.experiments import experiments, load

    found = []
    for experiment in experiments():
        configs: dict[str, Any] = {}
        for preset, config in load(experiment).PRESETS.items():
            if preset in OWN or config in configs.values():  # one may have two names
                continue
            configs[preset] = config
            name = f"{experiment}:{preset}"
            cut = cut_flags(name, to_dict(config), batch_size)
            found.append(Run(name, cut))
            for layout, data in OTHER_LAYOUTS.get(name, {}).items():
                found.append(Run(f"{name}:{layout}", {**cut, "data": data}))
    return found


def cut_flags(name: str, config: dict[str, Any], batch_size: int) -> dict[str, Any]:
    """Return the flags that make a preset small.

    Args:
        name: <area>/<experiment>:<preset>.
        config: the preset's flags.
        batch_size: the most images in a step.

    Returns:
        Flags by name: batches, the steps of every stage, and what `CHANGED` has.
    """
    cut: dict[str, Any] = {}
    for flag, value in config.items():
        last = flag.rpartition(".")[2]
        if last.endswith("batch_size") and value > batch_size:
            cut[flag] = batch_size
        elif last.endswith("steps") and last not in ("warmup_steps", "discriminator_steps") and value:
            steps = STEPS * config.get("optimizer.accumulate", 1)
            cut[flag] = ",".join([str(steps)] * len(value)) if isinstance(value, list) else steps
    experiment = name.partition(":")[0]
    for key in (experiment.partition("/")[0], experiment, name):
        cut |= CHANGED.get(key, {})
    return {flag: value for flag, value in cut.items() if flag in config}


def tried(run: Run, folder: pathlib.Path, data: pathlib.Path, limits: Limits, until: float) -> dict[str, Any] | None:
    """Run a preset: stop it after its first steps, go on, evaluate.

    Args:
        run: the preset.
        folder: where its workdir lies while it runs.
        data: the folder that the presets' relative paths begin in.
        limits: beyond which it has failed.
        until: when to leave it as it is, by `time.monotonic`; `under_way.json` then says how far it was.

    Returns:
        The row for presets.jsonl; None where the time was up.
    """
    workdir, notes = folder / "under_way", folder / "under_way.json"
    row = json.loads(notes.read_text()) if notes.exists() else {}
    if (row.get("preset"), row.get("flags")) != (run.name, run.flags):
        shutil.rmtree(workdir, ignore_errors=True)
        row = {"preset": run.name, "flags": run.flags, "peak_mib": 0, "failure": ""}
    command = [sys.executable, str(ROOT / "launch.py"), *run.command, f"--workdir={workdir}", "--log_every=1"]
    for part in ("first", "second"):
        if row["failure"] or f"{part}_lines" in row:
            continue
        left = limits.seconds - row.get("first_seconds", 0) - row.get("second_seconds", 0)
        allowed = limits._replace(seconds=min(left, until - time.monotonic()))
        ended = process(command, data, allowed, stop=part == "first")
        row[f"{part}_seconds"] = round(row.get(f"{part}_seconds", 0) + ended.seconds, 1)
        row["peak_mib"] = max(row["peak_mib"], ended.peak_mib)
        if ended.late and allowed.seconds < left:
            notes.write_text(json.dumps(row))
            return None
        row[f"{part}_lines"] = ended.lines
        row["failure"] = ended.failure and f"{'gone on: ' if part == 'second' else ''}{ended.failure}"
    notes.unlink(missing_ok=True)
    return _finished(row, workdir)


def _finished(row: dict[str, Any], workdir: pathlib.Path) -> dict[str, Any]:
    """Return the row with what the lines of both processes and the metrics say; the workdir goes."""
    first, second = (row.pop(f"{part}_lines", []) for part in ("first", "second"))
    stopped = any("the same command goes on from there" in line for line in first)
    known = ("goes on from step", "done before")
    if not row["failure"] and stopped and not any(word in line for line in second for word in known):
        row["failure"] = "gone on: it began anew"
    measured = (workdir / "metrics.jsonl").read_text().splitlines() if (workdir / "metrics.jsonl").exists() else []
    keys = {key for line in measured for key in json.loads(line)}
    shutil.rmtree(workdir, ignore_errors=True)
    evaluated = sorted(key for key in keys if "/" in key and not key.startswith(("train/", "time/")))
    return {**row, "stopped": stopped, "evaluated": evaluated[:3]}


def process(command: list[str], data: pathlib.Path, limits: Limits, *, stop: bool) -> Ended:
    """Run a command, and watch its time, its memory and its lines.

    Args:
        command: the words.
        data: the folder that it runs in, with TFDS's sets.
        limits: beyond which it is ended.
        stop: whether it gets SIGTERM as soon as a stage has taken a step.

    Returns:
        What it did.
    """
    env = {"XLA_FLAGS": _hasty(), **os.environ}
    env["TFDS_DATA_DIR"] = str(data / "tensorflow_datasets")
    began, lines, peak, reason, late = time.monotonic(), list[str](), 0, "", False
    with subprocess.Popen(
        command, cwd=data, env=env, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True
    ) as one:

        def read() -> None:
            assert one.stdout is not None
            for line in one.stdout:
                lines.append(line)
                if stop and re.match(r"\S+ step \d+.* train/", line):
                    one.send_signal(signal.SIGTERM)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        while one.poll() is None:
            peak = max(peak, _resident_mib(one.pid))
            late = time.monotonic() - began > limits.seconds
            if late:
                reason = f"not done after {limits.seconds:.0f} s"
            elif peak > limits.gib * 1024:
                reason = f"over {limits.gib:g} GiB"
            if reason:
                one.kill()
            time.sleep(0.1)
        reader.join()
    return Ended(one.returncode, round(time.monotonic() - began, 1), peak, lines, reason, late)


@functools.cache
def _hasty() -> str:
    from jaxvision.run import xla

    return " ".join(f"--{name}={value}" for name, value in HASTY.items() if xla.known(name))


def _resident_mib(pid: int) -> int:
    """Return the most memory that a process of Linux has held so far, in MiB; 0 once it has ended."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) // 1024 if found else 0


def table(rows: list[dict[str, Any]]) -> str:
    """Return a Markdown table of the results, the newest of each preset."""
    newest = {row["preset"]: row for row in rows}
    lines = ["| preset | cut to | seconds | peak MiB | evaluated | |", "|---|---|---|---|---|---|"]
    for name, row in sorted(newest.items()):
        cut = " ".join(f"{flag}={value}" for flag, value in row["flags"].items() if not flag.endswith("steps"))
        seconds = f"{row['first_seconds']:.0f} + {row['second_seconds']:.0f}" if "second_seconds" in row else "–"
        outcome = row["failure"] or ("" if row["stopped"] else "ended before it could be stopped")
        lines.append(f"| {name} | {cut} | {seconds} | {row['peak_mib']} | {', '.join(row['evaluated'])} | {outcome} |")
    return "\n".join(lines) + "\n"


def main(argv: list[str]) -> None:
    del argv
    chosen = [one for one in runs(_BATCH.value) if any(fnmatch.fnmatch(one.name, p) for p in _PRESETS.value)]
    if not chosen:
        sys.exit(f"--presets={','.join(_PRESETS.value)}: no preset is called so; --list shows all")
    if _LIST.value:
        print("\n".join(one.name for one in chosen))
        return
    folder = pathlib.Path(_FOLDER.value).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    data, results = preset_data.make(folder / "data"), folder / "presets.jsonl"
    rows = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    cores = len(os.sched_getaffinity(0))
    print(
        f"{platform.machine()}, {cores} cores, jax {metadata.version('jax')}; steps of every stage: {STEPS}", flush=True
    )
    known, began = {row["preset"] for row in rows}, time.monotonic()
    until = began + _PIECES.value if _PIECES.value else math.inf
    for one in chosen:
        if one.name in known and not _AGAIN.value:
            continue
        row = tried(one, folder, data, Limits(_SECONDS.value, _MEMORY.value), until)
        if row is None:
            print(f"time is up in {one.name}: repeat the command to go on", flush=True)
            sys.exit(STOPPED)
        rows.append(row)
        with results.open("a") as file:
            file.write(json.dumps(row) + "\n")
        (folder / "presets.md").write_text(table(rows))
        print(table([row]).splitlines()[-1], flush=True)
    failed = [row["preset"] for row in {row["preset"]: row for row in rows}.values() if row["failure"]]
    print(f"written to {folder}/presets.md; {len(failed)} failed{': ' if failed else ''}{', '.join(failed)}")


if __name__ == "__main__":
    app.run(main)
