"""SimCLR's step is the paper's, on any number of devices, batch norm included."""

from functools import cache, partial
from pathlib import Path

import chex
import jax
import numpy as np
import pytest

from jaxvision.losses.contrastive import nt_xent
from jaxvision.models.layers import BatchNorm
from jaxvision.tasks.simclr import simclr
from jaxvision.train import devices
from jaxvision.train.optim import Optimizer
from tests.tasks.contrastive import AUGMENT, GREY, SGD, batch_of, network, start, views_of
from tests.tasks.training import ONE, compiles_once, goes_on_bit_for_bit, train


def of_axis(axis_name):
    return network(partial(BatchNorm, axis_name=axis_name))


@cache
def task(tx=SGD):
    return simclr(of_axis, tx, augment=AUGMENT, **GREY, temperature=0.2)


@cache
def on_one_device():
    return devices.to_host(train(task(), batch_of(), 3))


@pytest.mark.parametrize(("mode", "count"), [("pmap", 4), pytest.param("jit", 2, marks=pytest.mark.long)])
def test_devices_agree(mode: str, count: int):
    found = train(task(), batch_of(), 3, devices.choose(mode, jax.devices()[:count]))
    chex.assert_trees_all_close(devices.to_host(found), on_one_device(), rtol=1e-4, atol=1e-5)


def test_a_step_is_the_papers():
    state, batch = start(task()), batch_of()
    views = views_of(state, batch["image"])

    def loss(params):
        variables = {"params": params, **state.model_state}
        outputs, updated = of_axis(None).apply(variables, views, train=True, mutable=["batch_stats"])
        embedding = outputs["embedding"]
        return nt_xent(embedding[:8], embedding[8:], 0.2).loss, updated

    (expected, updated), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(state.params)
    new, metrics = jax.jit(task().step)(state, batch)
    np.testing.assert_allclose(metrics["loss"], expected, rtol=1e-5)
    chex.assert_trees_all_close(new.model_state, updated, rtol=1e-5, atol=1e-6)
    moved = jax.tree.map(lambda p, g: p - 0.05 * g, state.params, gradient)
    chex.assert_trees_all_close(new.params, moved, rtol=1e-4, atol=1e-6)


def test_learns_to_find_the_other_view():
    batch, adam = batch_of(16), Optimizer(rule="adam", lr=0.02).make(60)
    _, before = train(task(adam), batch, 1)
    _, after = train(task(adam), batch, 60)
    assert after["loss"] < before["loss"] - 0.3 and after["accuracy"] > before["accuracy"]
    assert before["accuracy"] >= 0 and after["accuracy"] <= 1


def test_predicts_features_and_leaves_the_state():
    state, batch = start(task()), batch_of()
    found = devices.compile_predict(task(), ONE)(state, batch)
    assert set(found) == {"features"} and found["features"].shape == (8, 8)


def test_a_killed_run_goes_on_bit_for_bit(tmp_path: Path):
    goes_on_bit_for_bit(task(), start(task()), batch_of(), tmp_path)


def test_compiles_once():
    batch = batch_of()
    compiles_once(task(), start(task()), (batch, {"image": 255 - batch["image"]}, batch))
