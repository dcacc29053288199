"""MoCo's step in its order, its queue, its key network, and shuffled batch norm, on any number of devices."""

from functools import cache, partial
from pathlib import Path

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.losses.contrastive import info_nce
from jaxvision.models.norms import SplitBatchNorm
from jaxvision.ops.queue import oldest_first
from jaxvision.run.program import collectives
from jaxvision.tasks.moco import dealing, moco, shuffled
from jaxvision.tasks.views import two_views
from jaxvision.train import devices
from jaxvision.train.optim import Optimizer
from jaxvision.train.steps import ema
from tests.tasks.contrastive import AUGMENT, GREY, SGD, batch_of, network, start
from tests.tasks.training import ONE, compiles_once, goes_on_bit_for_bit, train

SETTINGS = {"augment": AUGMENT, **GREY, "temperature": 0.2, "momentum": 0.9}


def of_groups(groups: int) -> nn.Module:
    return network(partial(SplitBatchNorm, groups=groups))


@cache
def task(tx=SGD, queue: int = 21, groups: int = 4):
    return moco(of_groups, tx, **SETTINGS, queue=queue, groups=groups)


@cache
def on_one_device():
    return devices.to_host(train(task(), batch_of(), 3))


@pytest.mark.long
@pytest.mark.parametrize(("mode", "count"), [("pmap", 4), ("jit", 4)])
def test_devices_agree(mode: str, count: int):
    """Also on the queue, the key network and both batch statistics; 2 devices hold two groups each."""
    found = train(task(), batch_of(), 3, devices.choose(mode, jax.devices()[:count]))
    chex.assert_trees_all_close(devices.to_host(found), on_one_device(), rtol=1e-4, atol=1e-5)


def test_a_step_in_its_order():
    """Momentum update, keys, logits against the queue of earlier steps, then the keys enter the queue."""
    batch, step = batch_of(), jax.jit(task(groups=1).step)
    state, _ = step(start(task(groups=1)), batch)
    new, metrics = step(state, batch)
    views = two_views(state, jnp.asarray(batch["image"]), AUGMENT, **GREY, axis_name=None)
    key_params = ema(state.aux["key_params"], state.params, 0.9)
    chex.assert_trees_all_close(new.aux["key_params"], key_params, rtol=1e-5)
    forward = partial(of_groups(1).apply, train=True, mutable=["batch_stats"])
    keys, key_state = forward({"params": key_params, **state.aux["key_state"]}, views[8:])
    chex.assert_trees_all_close(new.aux["key_state"], key_state, rtol=1e-4, atol=1e-6)
    queries, _ = forward({"params": state.params, **state.model_state}, views[:8])
    expected = info_nce(queries["embedding"], keys["embedding"], state.aux["queue"], 0.2)
    np.testing.assert_allclose(metrics["loss"], expected.loss, rtol=1e-4)
    np.testing.assert_allclose(metrics["accuracy"], expected.accuracy, atol=1e-6)
    unit = keys["embedding"] / jnp.linalg.norm(keys["embedding"], axis=1, keepdims=True)
    queue = oldest_first(new.aux["queue"], new.aux["head"])
    np.testing.assert_allclose(queue[-8:], unit, atol=1e-4)
    np.testing.assert_array_equal(queue[:-8], oldest_first(state.aux["queue"], state.aux["head"])[8:])


@pytest.mark.parametrize("queue", [5, 8, 21])
def test_the_queue_holds_the_last_keys_in_order(queue: int):
    """Also where it is no multiple of the batch, or less than one."""
    of = task(queue=queue)
    step, state = jax.jit(of.step), start(of)
    came = list(np.asarray(state.aux["queue"]))
    np.testing.assert_allclose(np.linalg.norm(came, axis=1), 1, rtol=1e-5)
    for _ in range(7):
        views = two_views(state, jnp.asarray(batch_of()["image"]), AUGMENT, **GREY, axis_name=None)
        variables = {"params": ema(state.aux["key_params"], state.params, 0.9), **state.aux["key_state"]}
        key = jax.random.fold_in(jax.random.fold_in(state.key, state.step), 2**31 - 1)
        keys, _ = shuffled(of_groups(4), variables, views[8:], key, 4, None)
        came.extend(np.asarray(keys))
        state, _ = step(state, batch_of())
        found = oldest_first(state.aux["queue"], state.aux["head"])
        np.testing.assert_allclose(found, np.stack(came[-queue:]), atol=1e-4)


def test_the_key_network_learns_from_the_query_alone():
    """No gradient of its own, and batch statistics of its own, which momentum does not touch."""
    still = moco(of_groups, Optimizer(lr=1e-12).make(10), **SETTINGS, queue=8, groups=2)
    first = start(still)
    last, _ = train(still, batch_of(), 3)
    chex.assert_trees_all_close(last.aux["key_params"], first.aux["key_params"], atol=1e-9)
    seen = last.aux["key_state"]["batch_stats"]["encoder"]["bn"]["mean"]
    assert not np.allclose(seen, first.aux["key_state"]["batch_stats"]["encoder"]["bn"]["mean"])
    assert not np.allclose(seen, last.model_state["batch_stats"]["encoder"]["bn"]["mean"])


class Members(nn.Module):
    """Says of each image which rows were in its group; an image's first value is its row."""

    groups: int

    @nn.compact
    def __call__(self, x, *, train):
        rows = jax.nn.one_hot(x[:, 0, 0, 0].astype(jnp.int32), 16).reshape(self.groups, -1, 16)
        together = jnp.broadcast_to(rows.sum(1, keepdims=True), rows.shape).reshape(-1, 16)
        return {"embedding": together}


def members(count: int, key: jax.Array | None) -> np.ndarray:
    """Of the groups in which the keys of 16 images are computed, two groups a device."""
    images = jnp.broadcast_to(jnp.arange(16.0).reshape(16, 1, 1, 1), (16, 1, 1, 3))
    if count == 1:
        return np.asarray(shuffled(Members(4), {"params": {}}, images, key, 4, None)[0]) > 0

    def run(images):
        return shuffled(Members(4 // count), {"params": {}}, images, key, 4, "data")[0]

    spread = jax.pmap(run, "data", devices=jax.devices()[:count])
    return np.asarray(spread(images.reshape(count, -1, 1, 1, 3)))[0] > 0


@pytest.mark.parametrize("count", [1, 2, 4])
def test_keys_and_queries_share_no_groups(count: int):
    found = members(count, jax.random.PRNGKey(1))
    assert found.diagonal().all()  # the keys came back to their images
    assert (found.sum(1) == 4).all() and len(np.unique(found, axis=0)) == 4
    queries = np.kron(np.eye(4), np.ones((4, 4))) > 0
    assert not (found == queries).all(1).any()
    np.testing.assert_array_equal(found, members(1, jax.random.PRNGKey(1)))
    assert not np.array_equal(found, members(count, jax.random.PRNGKey(2)))


@pytest.mark.parametrize("count", [1, 4])
def test_without_shuffling_a_key_is_in_its_querys_group(count: int):
    np.testing.assert_array_equal(members(count, None), np.kron(np.eye(4), np.ones((4, 4))) > 0)


def test_a_step_shuffles_unless_it_is_told_not_to(monkeypatch: pytest.MonkeyPatch):
    orders = []

    def seen(model, variables, images, key, parts, axis_name):
        orders.append(key)
        return shuffled(model, variables, images, key, parts, axis_name)

    monkeypatch.setattr("jaxvision.tasks.moco.shuffled", seen)
    for shuffle in (True, False):
        told = moco(of_groups, SGD, **SETTINGS, queue=21, groups=4, shuffle=shuffle)
        state = jax.eval_shape(told.init, jax.random.PRNGKey(0), batch_of())
        jax.eval_shape(told.step, state, batch_of())
    assert orders[0] is not None and orders[1] is None


@pytest.mark.parametrize(("rows", "equal"), [(16, True), (32, True), (8, False), (20, False)])
def test_every_group_gets_equally_many_of_each_where_they_divide(rows: int, equal: bool):
    order = np.asarray(dealing(jax.random.PRNGKey(0), rows, 4))
    assert sorted(order) == list(range(rows)) and list(order) != list(range(rows))
    came_from = order.reshape(4, -1) // (rows // 4)
    shares = {tuple(np.bincount(group, minlength=4)) for group in came_from}
    assert (shares == {(rows // 16,) * 4}) is equal


@pytest.mark.parametrize(("rows", "sent"), [(4, {"all_to_all": 4}), (2, {"all_gather": 8})])
def test_a_device_receives_its_own_share_where_they_divide(rows: int, sent: dict):
    """Of images of one pixel in bfloat16, on 4 devices; the keys, 16 numbers a row, are gathered."""
    images, key = jnp.zeros((rows, 1, 1, 3), jnp.bfloat16), jax.random.PRNGKey(0)
    run = lambda x: shuffled(Members(1), {"params": {}}, x, key, 4, "d")[0]  # noqa: E731
    found = collectives(jax.make_jaxpr(run, axis_env=[("d", 4)])(images).jaxpr)
    found["all_gather"] -= 4 * rows * 16 * 4
    assert {kind: size for kind, size in found.items() if size} == {kind: 6 * count for kind, count in sent.items()}


def test_groups_that_do_not_divide():
    with pytest.raises(ValueError, match="--groups=3 does not divide by the 2 devices"):
        train(task(groups=3), batch_of(), 1, devices.choose("pmap", jax.devices()[:2]))
    with pytest.raises(ValueError, match="a batch of 8 does not divide by 3 groups"):
        train(task(groups=3), batch_of(), 1)
    _, metrics = train(task(groups=2), batch_of(), 1, devices.choose("pmap", jax.devices()))  # a group a device
    assert np.isfinite(metrics["loss"])


def test_learns_to_find_the_key():
    """Among the keys of other images: the queue has forgotten a batch when it comes again."""
    of, images = task(Optimizer(rule="adam", lr=0.01).make(80), queue=32, groups=2), batch_of(64)["image"]
    step, state, losses = devices.compile_step(of, ONE), devices.place(start(of), ONE), []
    for i in range(80):
        state, metrics = step(state, {"image": images[16 * (i % 4) :][:16]})
        losses.append(float(metrics["loss"]))
        assert 0 <= metrics["accuracy"] <= 1
    assert np.mean(losses[-8:]) < np.mean(losses[4:12]) - 0.2


def test_predicts_features():
    state, batch = start(task()), batch_of()
    found = devices.compile_predict(task(), ONE)(state, batch)
    assert set(found) == {"features"} and found["features"].shape == (8, 8)


def test_a_killed_run_goes_on_bit_for_bit(tmp_path: Path):
    goes_on_bit_for_bit(task(), start(task()), batch_of(), tmp_path)


def test_compiles_once():
    batch = batch_of()
    compiles_once(task(), start(task()), (batch, {"image": 255 - batch["image"]}, batch))
