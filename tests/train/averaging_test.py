"""Averaged weights of any task, through the loop, a resume and a warm start."""

import dataclasses
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.train import devices, loop
from jaxvision.train.averaging import AVERAGE, averaged, averaged_stages
from jaxvision.train.restore import Run
from jaxvision.train.types import Experiment, Stage
from jaxvision.train.writer import Writer
from tests.train import toy


def run_of(workdir: Path) -> Run:
    where = devices.choose("jit", jax.devices()[:1])
    return Run(workdir, jax.random.PRNGKey(0), where, Writer(workdir), save_every=2)


def test_the_average_follows_and_is_what_predicts():
    plain, task, batch = toy.regression(), averaged(toy.regression(), 0.5), next(toy.Numbers(0, 1))
    start = task.init(jax.random.PRNGKey(0), batch)
    first, _ = task.step(start, batch)
    second, _ = task.step(first, batch)
    w = [np.asarray(state.params["w"]) for state in (start, first, second)]
    expected = 0.1 * w[0] + 0.9 * w[1]  # a decay of 1/10, then of 2/11
    np.testing.assert_allclose(first.aux[AVERAGE]["w"], expected, rtol=1e-6)
    expected = 2 / 11 * expected + 9 / 11 * w[2]
    np.testing.assert_allclose(second.aux[AVERAGE]["w"], expected, rtol=1e-6)
    found = task.predict(second, batch)["y"]
    chex.assert_trees_all_close(found, plain.predict(second.replace(params={"w": jnp.asarray(expected)}), batch)["y"])
    chex.assert_trees_all_equal(second.params, plain.step(plain.step(start, batch)[0], batch)[0].params)


def test_the_decay_is_reached():
    task, batch = averaged(toy.regression(), 0.5), next(toy.Numbers(0, 1))
    late = dataclasses.replace(task.init(jax.random.PRNGKey(0), batch), step=jnp.array(100, jnp.int32))
    new, _ = task.step(late, batch)
    np.testing.assert_allclose(new.aux[AVERAGE]["w"], (late.params["w"] + new.params["w"]) / 2, rtol=1e-6)
    with pytest.raises(ValueError, match="--average_decay=1: should be at least 0 and below 1"):
        averaged(toy.regression(), 1.0)


def test_the_average_moves_only_when_the_weights_are_updated():
    task, batch = averaged(toy.regression(accumulate=2), 0.5), next(toy.Numbers(0, 1))
    states = [task.init(jax.random.PRNGKey(0), batch)]
    for _ in range(4):
        states.append(task.step(states[-1], batch)[0])
    average = [state.aux[AVERAGE]["w"] for state in states]
    w = [np.asarray(state.params["w"]) for state in states]
    np.testing.assert_array_equal(average[1], w[0])
    np.testing.assert_allclose(average[2], 0.1 * w[0] + 0.9 * w[2], rtol=1e-6)
    np.testing.assert_array_equal(average[3], average[2])
    np.testing.assert_allclose(average[4], 2 / 11 * average[2] + 9 / 11 * w[4], rtol=1e-6)  # the second update


def test_stages_hand_on_weights_as_without_averages(tmp_path: Path):
    def take(state, finished):
        assert AVERAGE not in state.aux
        return dataclasses.replace(state, params=finished["first"].params)

    first = Stage("first", toy.regression(), toy.Numbers, 3)
    second = Stage("second", toy.regression(), toy.Numbers, 3, warm_start=take)
    experiment = averaged_stages(Experiment((first, second)), 0.9)
    state = devices.to_host(loop.train(experiment, run_of(tmp_path / "a")))
    assert set(state.aux) == {AVERAGE}
    again = devices.to_host(loop.train(experiment, run_of(tmp_path / "a")))  # restored
    chex.assert_trees_all_equal(state, again)
    assert averaged_stages(Experiment((first,)), 0.0).stages[0] is first


def test_a_stage_that_only_looks_is_given_averages_and_pictures_of_the_data_stay():
    def take(state, finished):
        return dataclasses.replace(state, params=finished["first"].params)

    def see(state, batch):
        return batch["x"]

    first = Stage("first", toy.regression()._replace(see=see), toy.Numbers, 3)
    learning, looking = averaged_stages(
        Experiment((first, Stage("looking", toy.regression(), toy.Numbers, 0, warm_start=take))), 0.9
    ).stages
    assert learning.task.see is see
    trained = toy.regression().init(jax.random.PRNGKey(0), next(toy.Numbers(0, 1)))
    done = dataclasses.replace(trained, aux={AVERAGE: {"w": jnp.zeros(2)}})
    assert looking.warm_start is not None
    chex.assert_trees_all_equal(looking.warm_start(trained, {"first": done}).params, {"w": jnp.zeros(2)})
