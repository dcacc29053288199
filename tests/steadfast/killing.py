"""Runs that are killed again and again, and what may differ from a run that was not: nothing but times."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
SMOKE = ["--smoke", "--log_every=3", "--save_every=2"]
COMMANDS = {
    "toy": ["--experiment=gan/toy", "--steps=9", "--eval_every=4", *SMOKE],
    "classification": ["--experiment=classification/resnet", "--steps=11", "--eval_every=4", *SMOKE],
    "gan": ["--experiment=gan/dcgan", "--steps=9", "--eval_every=4", *SMOKE],
    "moco": ["--experiment=ssl/moco", "--steps=9", "--eval_every=4", *SMOKE],
    "yolo": ["--experiment=detection/yolo", "--steps=9", "--eval_every=4", *SMOKE],
    "rcnn": ["--experiment=detection/rcnn", "--steps=7", *SMOKE],
}
_CLOCK = ("time", "seconds")  # parts of names of figures that depend on the clock


class Server:
    """A forking server, see `server`."""

    def __init__(self, log: Path):
        self.log = log
        env = {**os.environ, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PLATFORMS": "cpu"}
        env["XLA_FLAGS"] = "--xla_force_host_platform_device_count=1 --xla_backend_optimization_level=0"
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.steadfast.server"],
            cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None and self._process.stdout.readline() == "ready\n"

    def run(self, *argv: str, **how: Any) -> dict[str, Any]:
        """Run a command; see `server` for how it may be ended."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"argv": argv, "log": str(self.log), **how}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End the server."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def killed_and_finished(server: Server, argv: list[str], workdir: Path, kills: int, seed: int) -> list[str]:
    """Run a command to its end, then elsewhere with many kills, and return what differs.

    Half of the kills come at a random moment, half before a random operation on a file; a fifth of all are SIGTERM.

    Args:
        server: runs the commands.
        argv: the command's flags without --workdir.
        workdir: the folder for both runs.
        kills: their number.
        seed: of moments and operations.

    Returns:
        A line for each difference, and for each run that ended otherwise than it should.
    """
    draw, faults = random.Random(seed), list[str]()
    straight = server.run(*argv, f"--workdir={workdir}/straight")
    if straight["code"] != 0:
        return [f"the straight run ended with {straight['code']}, see {server.log}"]
    for number in range(kills):
        how: dict[str, Any] = {"signal": signal.SIGTERM if number % 5 == 4 else signal.SIGKILL}
        if number % 2:
            how["seconds"] = draw.uniform(0.1, 1.0) * straight["seconds"]
        else:
            how["operation"] = draw.randint(1, max(straight["operations"], 2))
        ended = server.run(*argv, f"--workdir={workdir}/killed", **how)
        if ended["code"] not in (0, -signal.SIGKILL) or ended["left"]:
            faults.append(f"kill {number} ({how}) ended with {ended['code']}, {ended['left']} processes left")
    last = server.run(*argv, f"--workdir={workdir}/killed")
    if last["code"] != 0:
        return [*faults, f"the run after the kills ended with {last['code']}, see {server.log}"]
    return [*faults, *differences(workdir / "straight", workdir / "killed")]


def differences(expected: Path, found: Path) -> list[str]:
    """Compare checkpoints, metric rows, pictures and all other files of two workdirs."""
    faults = []
    for name, read in (("rows", _rows), ("checkpoints", _leaves), ("files", _files)):
        ours, theirs = read(expected), read(found)
        faults += [
            f"{name}: only {'one' if key in ours else 'the killed one'} has {key}"
            for key in ours.keys() ^ theirs.keys()
        ]
        faults += [
            f"{name}: {key} differs" for key in ours.keys() & theirs.keys() if not _equal(ours[key], theirs[key])
        ]
    return faults


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, str | bytes | dict | bool):
        return a == b
    ours, theirs = np.asarray(a), np.asarray(b)
    return ours.dtype == theirs.dtype and ours.tobytes() == theirs.tobytes()  # also of NaN


def _rows(workdir: Path) -> dict[str, Any]:
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    found = {}
    for place, row in enumerate(map(json.loads, lines)):
        kept = {name: value for name, value in row.items() if not any(part in name for part in _CLOCK)}
        found[f"row {place} of {row['stage']} at {row['step']}"] = kept
    return found


def _leaves(workdir: Path) -> dict[str, Any]:
    """The arrays of the newest and of the best checkpoint of each stage, and the position in the data."""
    import orbax.checkpoint as ocp

    found: dict[str, Any] = {}

    def visit(path: str, tree: Any) -> None:
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            visit(f"{path}/{key}", value) if isinstance(value, dict | list) else found.update({f"{path}/{key}": value})

    for stage in sorted((workdir / "checkpoints").iterdir()):
        steps = [path for path in stage.iterdir() if path.name.isdecimal()]
        found[f"{stage.name} finished"] = (stage / "finished").exists()
        if steps:
            newest = max(steps, key=lambda path: int(path.name))
            visit(f"{stage.name}/{newest.name}", ocp.StandardCheckpointer().restore(newest / "state"))
            extra = json.loads((newest / "extra" / "metadata").read_text())
            found[f"{stage.name}/{newest.name}/extra"] = {
                k: v for k, v in extra.items() if k not in ("seconds", "checksum")
            }
    return found


def _files(workdir: Path) -> dict[str, Any]:
    """All other files but those that hold times: arrays by their values, which packed files hold beside a date."""
    found: dict[str, Any] = {}
    for path in sorted(workdir.rglob("*")):
        name = str(path.relative_to(workdir))
        apart = name.startswith(("checkpoints/", "tensorboard/")) or "curves" in name
        if path.is_dir() or apart or name in ("metrics.jsonl", "config.json", "report.html", "lock"):
            continue
        if path.suffix == ".npz":
            with np.load(path) as arrays:
                found |= {f"{name}/{key}": arrays[key] for key in arrays.files}
        else:
            found[name] = path.read_bytes()
    return found
