"""One of two processes that train the toy task together: python -m tests.train.two_processes MODE PORT DIR ID"""

import sys

import jax

jax.config.update("jax_platforms", "cpu")

import numpy as np  # noqa: E402

from jaxvision.train import devices  # noqa: E402
from jaxvision.train.hooks import evaluate  # noqa: E402
from jaxvision.train.types import Metric  # noqa: E402
from tests.train import toy  # noqa: E402


def rows(shard: int, shards: int):
    yield {"x": np.zeros((4, 3), np.float32), "row": np.arange(8)[shard * 4 : (shard + 1) * 4]}


def main(mode: str, port: str, directory: str, process: int) -> None:
    with devices.cluster(f"127.0.0.1:{port}" if port else "", 2 if port else 1, process, detect=not port):
        learn(mode, directory, process)


def learn(mode: str, directory: str, process: int) -> None:
    where = devices.choose(mode)
    assert where.size == 4
    task, data = toy.regression(), toy.Numbers(process, 2)
    state = devices.place(jax.jit(task.init)(jax.random.PRNGKey(0), next(data)), where)
    step, predict = devices.compile_step(task, where), devices.compile_predict(task, where)
    for _ in range(3):
        state, _ = step(state, next(data))
    total = Metric(lambda: np.zeros(()), lambda s, outputs, batch: s + batch["row"].sum(), lambda s: {"sum": float(s)})
    result = evaluate((total,), rows).run(predict, state)
    w = devices.to_host(state).params["w"]
    np.savez(f"{directory}/{process}.npz", w=w, total=result["val/sum"], gathered=devices.gather_objects(process))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
