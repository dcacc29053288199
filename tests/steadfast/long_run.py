"""A program that takes thousands of tiny steps with evaluations and prints what it holds of the system's means.

python -m tests.steadfast.long_run WORKDIR STEPS WORKERS [END], where END is "error" or "hang" to end otherwise
"""

import json
import os
import sys
import time
from pathlib import Path

import jax

jax.config.update("jax_platforms", "cpu")

import numpy as np  # noqa: E402
from absl import flags  # noqa: E402

from jaxvision.data import pipeline  # noqa: E402
from jaxvision.train import devices, loop  # noqa: E402
from jaxvision.train.restore import Run  # noqa: E402
from jaxvision.train.types import Hook, Predict, Result, Stage, TrainState  # noqa: E402
from jaxvision.train.writer import Writer  # noqa: E402
from tests.train import toy  # noqa: E402


class Points:
    """Records of the toy task."""

    def __len__(self) -> int:
        return 64

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        x = np.random.default_rng(index).normal(size=3).astype(np.float32)
        return {"x": x, "y": x @ np.array([1, -2, 3], np.float32)}

    def name(self, index: int) -> str:
        return str(index)


def as_it_is(record: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
    return record


def held() -> dict[str, float]:
    """Memory in MB, threads, open files, and files of this user in /dev/shm."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    shared = [entry for entry in os.scandir("/dev/shm") if entry.stat().st_uid == os.getuid()]
    return {
        "MB": int(status["VmRSS"].split()[0]) / 1024,
        "threads": int(status["Threads"]),
        "files": len(os.listdir("/proc/self/fd")),
        "shm": len(shared),
    }


def main(workdir: str, steps: int, workers: int, end: str = "") -> None:
    """Train, evaluate every hundred steps, and print a line of `held` each time."""
    train = pipeline.train(Points(), as_it_is, 8, seed=0, workers=workers)
    val = pipeline.evaluate(Points(), as_it_is, 8, workers=workers)

    def look(predict: Predict, state: TrainState) -> Result:
        with devices.share(val) as batches:
            error = np.mean([np.square(predict(state, batch)["y"] - batch["y"]).mean() for batch in batches])
        print(json.dumps({"step": int(state.step), **held()}), flush=True)
        if end and int(state.step) >= 200:
            if end == "error":
                raise ValueError("an error")
            time.sleep(100)
        return {"val/error": float(error), "picture": np.zeros((8, 8, 3), np.uint8)}

    every = 100 if workers == 0 else max(steps // 10, 100)  # starting workers takes seconds
    stage = Stage("train", toy.regression(), train, steps, (Hook("look", every, look),))
    one = devices.choose("jit", jax.devices()[:1])
    loop.run_stage(stage, Run(Path(workdir), jax.random.PRNGKey(0), one, Writer(workdir), save_every=500), {})


if __name__ == "__main__":
    flags.FLAGS.mark_as_parsed()
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
