"""A task small enough to compile at once: linear regression, with noise drawn from the step's key."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxvision.train.steps import descend, init_state, step_key
from jaxvision.train.types import Batch, Key, Metrics, Task, TrainState

TRACES: list[int] = []


def regression(noise: float = 0.0, accumulate: int = 1) -> Task:
    tx = optax.with_extra_args_support(optax.sgd(0.05, momentum=0.5))
    if accumulate > 1:
        multi = optax.MultiSteps(tx, accumulate)
        tx = optax.GradientTransformationExtraArgs(multi.init, multi.update)

    def init(key: Key, batch: Batch) -> TrainState:
        params = {"w": jax.random.normal(key, (batch["x"].shape[1],))}
        return init_state(key, {"params": params}, tx.init(params))

    def step(state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        TRACES.append(1)
        jitter = noise * jax.random.normal(step_key(state, axis_name), batch["y"].shape)

        def loss_fn(params: Any) -> tuple[jax.Array, tuple[()]]:
            return jnp.mean((batch["x"] @ params["w"] - batch["y"] + jitter) ** 2), ()

        params, opt_state, loss, _ = descend(loss_fn, state.params, state.opt_state, tx, axis_name=axis_name)
        return state.replace(step=state.step + 1, params=params, opt_state=opt_state), {"loss": loss}

    def predict(state: TrainState, batch: Batch) -> dict[str, jax.Array]:
        return {"y": batch["x"] @ state.params["w"]}

    return Task(init, step, predict)


class Numbers:
    """An endless stream of batches, a pure function of the position, which can be saved."""

    def __init__(self, shard: int, shards: int, batch_size: int = 8):
        self.position, self.rows = 0, slice(shard * batch_size // shards, (shard + 1) * batch_size // shards)
        self.batch_size = batch_size

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        rng = np.random.default_rng(self.position)
        self.position += 1
        x = rng.normal(size=(self.batch_size, 3)).astype(np.float32)
        return {"x": x[self.rows], "y": (x @ np.array([1, -2, 3], np.float32))[self.rows]}

    def close(self) -> None:
        """Nothing is open."""

    def get_state(self) -> dict[str, int]:
        return {"position": self.position}

    def set_state(self, state: dict[str, int]) -> None:
        self.position = state["position"]
