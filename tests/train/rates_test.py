"""The learning rate of each step is among the metrics, and the training is the same."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.train.optim import Optimizer
from jaxvision.train.rates import log_gan_rates, log_rate
from jaxvision.train.steps import advance, descend, init_state
from jaxvision.train.types import Task

STEPS = 6


def task_of(optimizer: Optimizer) -> Task:
    tx = optimizer.make(STEPS)

    def init(key, batch):
        return init_state(key, {"params": {"w": jnp.ones(3)}}, tx.init({"w": jnp.ones(3)}))

    def step(state, batch, *, axis_name=None):
        params, opt_state, loss, _ = descend(
            lambda p: (jnp.sum(p["w"]), ()), state.params, state.opt_state, tx, axis_name=axis_name
        )
        return advance(state, params, opt_state), {"loss": loss}

    return Task(init, step, lambda state, batch: {})


def trained(task: Task) -> tuple:
    state, rows = task.init(jax.random.PRNGKey(0), {}), []
    step = jax.jit(task.step)
    for _ in range(STEPS):
        state, metrics = step(state, {})
        rows.append({name: float(value) for name, value in metrics.items()})
    return state, rows


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, [0.5] * STEPS),
        ({"schedule": "step", "milestones": (0.5,)}, [0.5, 0.5, 0.5, 0.05, 0.05, 0.05]),
        ({"schedule": "step", "milestones": (0.5,), "accumulate": 2}, [0.5, 0.5, 0.5, 0.5, 0.05, 0.05]),
        ({"warmup_steps": 2}, [0.25, 0.5, 0.5, 0.5, 0.5, 0.5]),
    ],
)
def test_the_logged_rate_is_the_one_that_was_applied(fields: dict, expected: list[float]):
    optimizer = Optimizer(lr=0.5, momentum=0.0, **fields)
    state, rows = trained(log_rate(task_of(optimizer), optimizer, STEPS))
    np.testing.assert_allclose([row["lr"] for row in rows], expected, rtol=1e-6)
    alone, without = trained(task_of(optimizer))
    chex.assert_trees_all_equal(state, alone)
    assert [row["loss"] for row in rows] == [row["loss"] for row in without]
    if optimizer.accumulate == 1:  # the gradient is 1, so that the weight falls by the rates
        np.testing.assert_allclose(state.params["w"], 1 - sum(expected), rtol=1e-5)


def test_a_plateau_cuts_the_logged_rate():
    optimizer = Optimizer(lr=0.5, momentum=0.0, schedule="plateau", window=1, patience=1, factor=0.5)
    flat = task_of(optimizer)._replace(
        step=lambda state, batch, axis_name=None: (
            advance(state, state.params, optimizer.make(STEPS).update(
                {"w": jnp.zeros(3)}, state.opt_state, state.params, value=jnp.ones(())
            )[1]),
            {},
        )
    )  # fmt: skip
    _, rows = trained(log_rate(flat, optimizer, STEPS))
    rates = [row["lr"] for row in rows]
    assert rates[0] == 0.5 and rates[-1] < 0.5 and rates == sorted(rates, reverse=True)


def test_two_players_have_a_rate_each():
    slow, fast = Optimizer(lr=0.1), Optimizer(lr=0.2, schedule="step", milestones=(0.5,))

    def init(key, batch):
        params = {"w": jnp.ones(3)}
        opt_state = {"generator": slow.make(4).init(params), "discriminator": fast.make(8).init(params)}
        return init_state(key, {"params": params}, opt_state)

    task = Task(init, lambda state, batch, axis_name=None: (advance(state, {}, state.opt_state), {}), lambda s, b: {})
    task = log_gan_rates(task, slow, fast, 4, 2)
    rows, state = [], task.init(jax.random.PRNGKey(0), {})
    for _ in range(4):
        state, metrics = task.step(state, {})
        rows.append((float(metrics["lr_generator"]), float(metrics["lr_discriminator"])))
    np.testing.assert_allclose(rows, [(0.1, 0.2), (0.1, 0.2), (0.1, 0.02), (0.1, 0.02)], rtol=1e-6)
