"""Milliseconds of the host for a step on several devices: pmap, shard_map and jit in turns, in one run.

    python benchmarks/parallel.py [--devices=4] [--leaves=430] [--steps=200] [--rounds=5]

The step multiplies each of many tiny arrays, as many as a network's state has, so that nearly all of its time is what
the host does to hand it over. On a CPU the devices are fake ones.
"""

import argparse
import os
import pathlib
import statistics
import sys
import time
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("devices", 4), ("leaves", 430), ("steps", 200), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={args.devices}"

    import jax
    import jax.numpy as jnp
    import numpy as np

    from jaxvision.train import devices
    from jaxvision.train.steps import init_state, pmean
    from jaxvision.train.types import Task

    def init(key: Any, batch: Any) -> Any:
        return init_state(key, {"params": {str(i): jnp.ones(8) for i in range(args.leaves)}}, {})

    def step(state: Any, batch: Any, *, axis_name: str | None = None) -> Any:
        loss = pmean(jnp.mean(batch["x"]), axis_name)
        params = {name: 0.99 * value + loss for name, value in state.params.items()}
        return state.replace(step=state.step + 1, params=params), {"loss": loss}

    task = Task(init, step, lambda state, batch: {})
    batch = {"x": np.ones(8 * args.devices, np.float32)}
    ways = {}
    for mode in ("pmap", "shard_map", "jit"):
        where = devices.choose(mode)
        state = devices.place(init(jax.random.PRNGKey(0), batch), where)
        run = devices.compile_step(task, where)
        ways[mode] = [run, jax.block_until_ready(run(state, batch)[0])]
    found: dict[str, list[float]] = {mode: [] for mode in ways}
    for _ in range(args.rounds):
        for mode, way in ways.items():
            run, state = way
            began = time.perf_counter()
            for _ in range(args.steps):
                state, _ = run(state, batch)
            jax.block_until_ready(state)
            found[mode].append(1e3 * (time.perf_counter() - began) / args.steps)
            way[1] = state
    kind = jax.devices()[0].device_kind
    print(f"{args.leaves} leaves, {args.devices} × {kind}, {os.cpu_count()} cores, jax {jax.__version__}")
    for mode, times in found.items():
        print(f"{mode:10} {statistics.median(times):6.2f} ms a step ({min(times):.2f} to {max(times):.2f})")


if __name__ == "__main__":
    main()
