"""α finds the units that were planted, on any number of devices; what `predict` says of interventions."""

from functools import cache

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvision.ops.interventions import chosen
from jaxvision.tasks.dissection import START, dissection, examining, networks, pixels, values
from jaxvision.tasks.extractor import Extractor
from jaxvision.train import devices
from jaxvision.train.types import Task
from tests.tasks.planted import LAYER, NETWORKS, PLANTED, UNITS, batch_of, maps_of
from tests.tasks.training import ONE, compiles_once, train


def task_of(tx=None, nets=NETWORKS, **fields) -> Task:
    fields = {"layer": LAYER, "concepts": (1, 2, 3), "l2": 0.05, **fields}
    return dissection(nets, optax.adam(0.05) if tx is None else tx, **fields)


@cache
def trained():
    return train(task_of(), batch_of(), 40)


def predict(state, batch, task=None):
    return devices.compile_predict(task or task_of(), ONE)(state, batch)


def under(alpha, k, rows: int = 8, where: float = 1.0) -> dict[str, np.ndarray]:
    tiled = {"alpha": np.tile(alpha, (rows, 1)), "values": np.tile(k, (rows, 1)).astype(np.float32)}
    return {**batch_of(rows), **tiled, "where": np.full((rows, 8, 8), where, np.float32)}


def test_planted_units_are_ranked_first():
    state, metrics = trained()
    alpha = np.asarray(state.params["alpha"])
    assert tuple(alpha.argmax(axis=1)) == PLANTED
    own = alpha[np.arange(3), PLANTED]
    others = np.array([np.delete(row, unit) for row, unit in zip(alpha, PLANTED, strict=True)])
    assert own.min() > 0.9 and others.max() < 0.4 and alpha.min() >= 0 and alpha.max() <= 1
    assert set(metrics) == {"loss", "effect", "units"} and float(metrics["effect"]) > 0.8
    np.testing.assert_allclose(metrics["units"], alpha.sum(1).mean(), rtol=1e-6)


def test_values_are_the_means_where_the_concept_is():
    maps = np.asarray(maps_of(batch_of()["z"]))
    found = np.asarray(values(trained()[0]))
    for c, unit in enumerate(PLANTED):
        expected = maps[maps[..., unit] == 1].mean(axis=0)  # the segmenter's doubts take and add a few per cent
        np.testing.assert_allclose(found[c], expected, atol=0.12)


def test_the_loss_of_the_first_step():
    """With α = 1 for the planted units the place is the concept's, and without them it is not."""
    task = task_of(l2=0.01)
    state = jax.jit(task.init)(jax.random.PRNGKey(0), batch_of())
    assert np.all(np.asarray(state.params["alpha"]) == START)
    state = state.replace(params={"alpha": jnp.stack([jnp.asarray(chosen((u,), UNITS)) for u in PLANTED])})
    _, metrics = jax.jit(task.step)(state, batch_of())
    assert float(metrics["effect"]) > 0.85
    np.testing.assert_allclose(metrics["loss"], 0.01 * 3 - 3 * float(metrics["effect"]), rtol=1e-5)


@pytest.mark.parametrize(("mode", "count"), [pytest.param("jit", 2, marks=pytest.mark.long), ("pmap", 4)])
def test_devices_agree(mode: str, count: int):
    expected = train(task_of(optax.sgd(0.5)), batch_of(), 3)
    found = train(task_of(optax.sgd(0.5)), batch_of(), 3, devices.choose(mode, jax.devices()[:count]))
    chex.assert_trees_all_close(devices.to_host(found), devices.to_host(expected), rtol=1e-4, atol=1e-5)


def test_a_resumed_run_is_the_same():
    step = devices.compile_step(task_of(), ONE)
    state = train(task_of(), batch_of(), 2)[0]
    state = devices.place(devices.to_host(state), ONE)
    for _ in range(2):
        state, _ = step(state, batch_of())
    chex.assert_trees_all_equal(state, train(task_of(), batch_of(), 4)[0])


def test_compiles_once_and_leaves_the_networks_alone():
    task = task_of()
    state = jax.jit(task.init)(jax.random.PRNGKey(0), batch_of())
    state = compiles_once(task, state, (batch_of(seed=seed) for seed in range(3)))
    assert float(state.aux["generator"]) == 1.0 and int(state.step) == 3


def test_predict_without_and_with_an_intervention():
    state, batch = trained()[0], batch_of()
    plain = predict(state, batch)
    maps = np.asarray(maps_of(batch["z"]))
    np.testing.assert_array_equal(plain["units"], maps.astype(np.float16))
    for c, unit in enumerate(PLANTED, start=1):
        mask = maps[..., unit].repeat(2, axis=1).repeat(2, axis=2) == 1
        np.testing.assert_array_equal(plain["classes"] == c, mask)
        np.testing.assert_allclose(plain["areas"][:, c], mask.mean((1, 2)), rtol=1e-6)
    assert plain["samples"].dtype == np.uint8 and plain["presence"].shape == (8, 8, 8, 4)
    gone = predict(state, under(chosen(PLANTED[:1], UNITS), np.zeros(UNITS)))
    assert set(gone) == {"samples", "areas", "presence"}
    assert not gone["areas"][:, 1].any() and np.all(gone["areas"][:, 2:] == plain["areas"][:, 2:])
    there = predict(state, under(chosen(PLANTED[2:], UNITS), np.ones(UNITS)))
    assert there["presence"][..., 3].min() > 0.4
    nowhere = predict(state, under(chosen(PLANTED, UNITS), np.zeros(UNITS), where=0.0))
    np.testing.assert_array_equal(nowhere["samples"], plain["samples"])


@pytest.mark.parametrize("mode", ["jit", "pmap"])
def test_predictions_agree_on_devices(mode: str):
    where = devices.choose(mode, jax.devices())
    batch = under(chosen(PLANTED[:1], UNITS), np.ones(UNITS), where=0.5)
    found = devices.compile_predict(task_of(), where)(devices.place(trained()[0], where), batch)
    chex.assert_trees_all_close(found, predict(trained()[0], batch), rtol=1e-5, atol=1e-6)


class Drawer(nn.Module):
    """Grey images through one layer with batch norm."""

    @nn.compact
    def __call__(self, z, label=None, *, train, edit=None):
        z = z if label is None else jnp.concatenate([z, jax.nn.one_hot(label, 2)], axis=-1)
        x = nn.Dense(4 * 4 * 6)(z).reshape(-1, 4, 4, 6)
        x = nn.BatchNorm(use_running_average=not train)(x)
        x = (edit or {}).get("layer1", lambda r: r)(x)
        return {"layer1": x, "image": nn.tanh(nn.Dense(1)(x))}


class Segmenter(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        return {"logits": nn.Dense(3)(nn.BatchNorm(use_running_average=not train)(x))}


def linen_task(**fields) -> Task:
    nets = networks(Drawer(), Segmenter(), (100.0,) * 3, (50.0,) * 3)
    return task_of(nets=nets, layer="layer1", concepts=(0, 2), **fields)


@pytest.mark.parametrize("labels", [False, True])
def test_linen_networks_grey_images_and_labels(labels):
    batch = batch_of(4) | ({"label": np.arange(4, dtype=np.int32) % 2} if labels else {})
    task = linen_task()
    state, metrics = train(task, batch, 2)
    assert state.params["alpha"].shape == (2, 6) and np.isfinite(float(metrics["loss"]))
    assert predict(state, batch, task)["samples"].shape == (4, 4, 4, 1)
    assert "batch_stats" in state.aux["generator"] and "batch_stats" in state.aux["segmenter"]


def test_trained_networks_take_their_place():
    batch, task = batch_of(4), linen_task()
    state = jax.jit(task.init)(jax.random.PRNGKey(0), batch)
    other = jax.tree.map(lambda x: x + 1, state.aux["generator"])
    new = examining(state, generator=other)
    chex.assert_trees_all_equal(new.aux["generator"], other)
    chex.assert_trees_all_equal(new.aux["segmenter"], state.aux["segmenter"])
    with pytest.raises(ValueError, match="no network is called judge"):
        examining(state, judge=other)


def test_features_of_the_samples():
    extract = Extractor(
        lambda key, images: jnp.ones(()), lambda v, x: {"features": v * x.mean((1, 2)), "probabilities": x[:, 0, 0]}
    )
    task, batch = task_of(extract=extract), batch_of(4)
    batch["image"] = np.full((4, 16, 16, 3), 7, np.uint8)
    state = jax.jit(task.init)(jax.random.PRNGKey(0), batch)
    found = predict(state, batch, task)
    np.testing.assert_allclose(found["features"], found["samples"].mean((1, 2)), rtol=1e-5)
    np.testing.assert_allclose(found["real_features"], np.full((4, 3), 7.0))


def test_a_layer_that_is_not_there():
    with pytest.raises(ValueError, match="no 'layer9'; choose among layer1"):
        task_of(layer="layer9").init(jax.random.PRNGKey(0), batch_of())


def test_pixels():
    found = pixels(jnp.array([-2.0, -1.0, 0.0, 1.0]).reshape(1, 2, 2, 1))
    np.testing.assert_array_equal(np.asarray(found).ravel(), [0, 0, 127.5, 255])
