"""Probes learn side by side as if alone, on any number of devices, and leave the encoder as it was."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.tasks.probe import Bank, finetune, linear_probe, remember, side_by_side
from jaxvision.train import devices
from jaxvision.train.checkpoint import Checkpoints
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Task
from tests.tasks.classification_test import GREY, batch_of
from tests.tasks.training import ONE, compiles_once, train

RATES = (0.1, 1.0, 5.0)


class Encoder(nn.Module):
    """A convolution and batch norm."""

    @nn.compact
    def __call__(self, x, *, train: bool):
        x = nn.Conv(8, (3, 3), (2, 2), padding=((1, 1), (1, 1)), name="conv1")(x)
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9, name="bn1")(x)
        return {"pool": nn.relu(x).mean((1, 2))}


def task_of(rates: tuple[float, ...] = RATES, bank: Bank | None = None, norm: str = "none", **fields) -> Task:
    tx = Optimizer(**{"lr": 1.0, "schedule": "cosine", "weight_decay": 1e-3, **fields}).make(60)
    return linear_probe(Encoder(), tx, rates, 3, image_size=6, feature_norm=norm, bank=bank, **GREY)


def encoder_of(state) -> dict:
    return {"params": state.params["encoder"], "stats": state.model_state["batch_stats"]["encoder"]}


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_the_encoder_is_not_touched_and_the_best_head_overfits(norm: str):
    task, batch = task_of(norm=norm), batch_of()
    start = jax.jit(task.init)(jax.random.PRNGKey(0), batch)
    state, metrics = train(task, batch, 60)
    chex.assert_trees_all_equal(encoder_of(state), encoder_of(start))
    assert float(metrics["accuracy"]) == 1.0
    outputs = devices.compile_predict(task, ONE)(state, batch)
    assert outputs["probabilities"].shape == (8, 1, 3, 3)
    np.testing.assert_allclose(outputs["probabilities"].sum(-1), 1, rtol=1e-5)
    if norm == "none":  # the statistics of a batch of 8 are not yet the running ones
        np.testing.assert_array_equal(outputs["probabilities"][:, 0, 2].argmax(-1), batch["label"])
    pixels = (batch["image"].astype(jnp.float32) - 127.5) / 127.5
    variables = {"params": start.params["encoder"], "batch_stats": start.model_state["batch_stats"]["encoder"]}
    np.testing.assert_allclose(
        outputs["features"], Encoder().apply(variables, pixels, train=False)["pool"], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("fields", [{}, {"clip_norm": 0.05}, {"rule": "adam"}, {"rule": "lars", "trust": 0.1}], ids=str)
def test_a_head_learns_as_if_it_were_alone_at_its_rate(fields: dict):
    together, _ = train(task_of(**fields), batch_of(), 4)
    for i, rate in enumerate(RATES):
        alone, _ = train(task_of((1.0,), **fields, lr=rate), batch_of(), 4)
        head = jax.tree.map(lambda p, i=i: p[:, i : i + 1], together.params["head"])
        chex.assert_trees_all_close(head, alone.params["head"], rtol=1e-4, atol=1e-6)


def test_a_head_that_diverges_does_not_stop_the_others():
    task = task_of((1.0, 1e30), weight_decay=1.0)
    state, metrics = train(task, batch_of(), 20)
    assert not np.isfinite(np.asarray(state.params["head"]["kernel"][0, 1])).all()
    assert np.isfinite(float(metrics["loss"])) and np.isfinite(np.asarray(state.params["head"]["kernel"][0, 0])).all()


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_features_that_are_kept_teach_the_same(norm: str):
    batch = batch_of()
    images, kept = task_of(norm=norm), task_of(norm=norm, bank=Bank(8, 2))
    expected, _ = train(images, batch, 5)
    rows = np.stack([np.arange(8), np.arange(8) % 4], axis=1).astype(np.int32)  # the second subset has four rows
    state = jax.jit(kept.init)(jax.random.PRNGKey(0), {"row": rows})
    features = jax.jit(kept.predict)(state, batch)["features"]
    state = devices.place(remember(state, features, batch["label"]), ONE)
    step = devices.compile_step(kept, ONE)
    for _ in range(5):
        state, _ = step(state, {"row": rows})
    first = jax.tree.map(lambda p: p[:1], state.params["head"])
    chex.assert_trees_all_close(first, expected.params["head"], rtol=1e-4, atol=1e-5)
    assert not np.allclose(state.params["head"]["kernel"][0], state.params["head"]["kernel"][1], atol=1e-4)


def test_the_bank_is_saved_with_the_state(tmp_path):
    task = task_of(bank=Bank(4, 1))
    batch = {"row": np.zeros((2, 1), np.int32)}
    state = remember(task.init(jax.random.PRNGKey(0), batch), jnp.ones((4, 8)), jnp.arange(4))
    checkpoints = Checkpoints(tmp_path, 1)
    checkpoints.save(1, state, {})
    restored, _ = checkpoints.restore(jax.eval_shape(task.init, jax.random.PRNGKey(0), batch))
    checkpoints.close()
    chex.assert_trees_all_equal(restored, devices.to_host(state))
    with pytest.raises(ValueError, match=r"features \(3, 8\) for a bank of \(4, 8\)"):
        remember(state, jnp.ones((3, 8)), jnp.arange(3))


@pytest.mark.parametrize(("mode", "count"), [pytest.param("jit", 2, marks=pytest.mark.long), ("pmap", 4)])
@pytest.mark.parametrize("kind", ["linear", "finetune"])
def test_devices_agree(kind: str, mode: str, count: int):
    if kind == "finetune" and mode == "pmap":
        pytest.skip("each device has its own batch statistics")
    tx = Optimizer(lr=0.1).make(10)
    task, batch = (task_of() if kind == "linear" else finetune(Encoder(), tx, 3, **GREY)), batch_of()
    found = train(task, batch, 3, devices.choose(mode, jax.devices()[:count]))
    chex.assert_trees_all_close(devices.to_host(found), devices.to_host(train(task, batch, 3)), rtol=1e-4, atol=1e-5)


def test_finetuning_moves_the_encoder_and_overfits():
    task, batch = finetune(Encoder(), Optimizer(lr=0.2).make(60), 3, **GREY), batch_of()
    start = jax.jit(task.init)(jax.random.PRNGKey(0), batch)
    state, metrics = train(task, batch, 60)
    assert float(metrics["accuracy"]) == 1.0
    for before, after in zip(jax.tree.leaves(encoder_of(start)), jax.tree.leaves(encoder_of(state)), strict=True):
        assert not np.allclose(before, after)
    outputs = devices.compile_predict(task, ONE)(state, batch)
    assert outputs["features"].shape == (8, 8) and outputs["probabilities"].shape == (8, 3)


def test_both_start_from_the_same_encoder():
    """So that an encoder's place in the state is the same: imported weights find it."""
    batch = batch_of()
    probe = task_of().init(jax.random.PRNGKey(0), batch)
    tuned = finetune(Encoder(), Optimizer().make(1), 3, **GREY).init(jax.random.PRNGKey(0), batch)
    chex.assert_trees_all_equal(encoder_of(probe), encoder_of(tuned))


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_compiles_once(norm: str):
    task, batch = task_of(norm=norm), batch_of()
    state = jax.jit(task.init)(jax.random.PRNGKey(0), batch)
    compiles_once(task, state, (batch, {**batch, "image": 255 - batch["image"]}, batch))


def test_the_optimizer_state_has_a_head_each():
    tx = side_by_side(Optimizer(momentum=0.9).make(10), (1.0, 2.0))
    state = tx.init({"kernel": jnp.zeros((3, 2, 4, 5))})
    assert all(leaf.shape[:2] == (3, 2) for leaf in jax.tree.leaves(state))
