"""Two steps of each stage of a smoke preset on 1, 2, 4 and 8 devices: python -m tests.programs.equal ssl/moco

pmap and shard_map are to give the same state on the same devices, jit on any number of devices what it gives on one.
"""

import os
import sys

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"

import jax  # noqa: E402

jax.config.update("jax_platforms", "cpu")

from typing import Any  # noqa: E402

import numpy as np  # noqa: E402

from jaxvision.ops.dispatch import plain_forms  # noqa: E402
from jaxvision.train import devices  # noqa: E402
from jaxvision.train.devices import first_batch  # noqa: E402
from jaxvision.train.types import Batch, Task  # noqa: E402
from tests.programs.traced import steps  # noqa: E402

CLOSE = {"rtol": 2e-3, "atol": 2e-3}  # of jit, whose sums have another order on each number of devices


def drawn(batch: Batch) -> dict[str, np.ndarray]:
    """Return the batch with another image or point in every row; of shapes alone all rows are alike."""
    rng = np.random.default_rng(0)
    arrays = {key: np.array(value) for key, value in batch.items()}
    if "image" in arrays:
        shape, kind = arrays["image"].shape, arrays["image"].dtype
        arrays["image"] = (
            rng.integers(0, 256, shape, np.uint8) if kind == np.uint8 else rng.normal(size=shape).astype(kind)
        )
    return arrays


def two_steps(task: Task, batch: Batch, mode: str, count: int) -> Any:
    where = devices.choose(mode, jax.devices()[:count])
    state = devices.place(devices.initial(task, jax.random.PRNGKey(0), batch), where)
    step = devices.compile_step(task, where)
    for _ in range(2):
        state, metrics = step(state, batch)
    return devices.to_host((state, dict(metrics)))


def different(found: Any, expected: Any, **close: float) -> list[str]:
    pairs = zip(jax.tree_util.tree_leaves_with_path(found), jax.tree.leaves(expected), strict=True)
    return [jax.tree_util.keystr(path) for (path, a), b in pairs if not np.allclose(a, b, equal_nan=True, **close)]


def main(name: str) -> int:
    wrong = 0
    for traced in steps(name, "smoke"):
        task, batch = traced.stage.task, drawn(first_batch(traced.stage.data))
        rows = len(next(iter(batch.values())))
        with plain_forms():
            one = two_steps(task, batch, "jit", 1)
            for count in (n for n in (2, 4, 8) if rows % n == 0):
                mapped = two_steps(task, batch, "pmap", count)
                for mode, expected, close in (("shard_map", mapped, {"rtol": 1e-5, "atol": 1e-6}), ("jit", one, CLOSE)):
                    if apart := different(two_steps(task, batch, mode, count), expected, **close):
                        print(f"{name} {traced.stage.name}: {mode} on {count} devices differs in {apart[:5]}")
                        wrong += 1
        jax.clear_caches()
    return wrong


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1]), 1))
