"""A hole is filled from what is around it, and nothing of what was in it is seen."""

from functools import cache

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvision.models.dcgan import Discriminator
from jaxvision.models.pretext_heads import ContextEncoder
from jaxvision.tasks.context_encoder import band, context_encoder
from jaxvision.train import devices
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import TrainState
from tests.tasks.players import Discriminator as Judge
from tests.tasks.pretext_test import GREY, Encoder
from tests.tasks.training import ONE, train


def norm_of_nothing(**fields):
    """In the place of batch norm, which under pmap sees one device's rows."""
    return lambda x: x


@cache
def task_of(norm: bool = True, adversarial: float = 0.001, overlap: int = 1, rule: str = "adam"):
    own = {} if norm else {"norm": norm_of_nothing}
    tx = Optimizer(rule=rule, lr=0.01, momentum=0.5).make(100)
    model = ContextEncoder(Encoder(norm), hole=8, **own)
    return context_encoder(model, Judge(norm), tx, tx, **GREY, hole=8, overlap=overlap, adversarial=adversarial)


def batch_of(rows: int = 8) -> dict:
    """Images of one colour each: what surrounds the hole tells what is in it."""
    colors = np.random.default_rng(0).integers(0, 256, (rows, 1, 1, 3), np.uint8)
    return {"image": np.broadcast_to(colors, (rows, 16, 16, 3)).copy(), "_mask": np.ones(rows, bool)}


def test_learns_to_continue_a_color():
    task, batch = task_of(), batch_of()
    state, metrics = train(task, batch, 150)
    assert set(metrics) == {
        *("loss", "loss_l2", "loss_adversarial", "loss_discriminator", "real_accuracy", "fake_accuracy")
    }
    expected = 0.999 * metrics["loss_l2"] + 0.001 * metrics["loss_adversarial"]
    np.testing.assert_allclose(metrics["loss"], expected, rtol=1e-5)
    outputs = devices.compile_predict(task, ONE)(state, batch)
    assert set(outputs) == {"features", "seen", "filled", "l1", "l2", "l2_mean", "psnr"}
    assert outputs["l2"].mean() < 0.03 and outputs["l2_mean"].max() < 1e-6
    np.testing.assert_allclose(outputs["psnr"], -10 * np.log10(outputs["l2"]), rtol=1e-4)


def test_what_is_hidden_is_not_seen_and_what_is_seen_is_kept():
    task, batch = task_of(overlap=1), batch_of()
    state, _ = train(task, batch, 1)
    other = {**batch, "image": batch["image"].copy()}
    other["image"][:, 5:11, 5:11] = 255 - other["image"][:, 5:11, 5:11]  # 8 pixels less 1 on each side
    predict = devices.compile_predict(task, ONE)
    first, second = predict(state, batch), predict(state, other)
    np.testing.assert_array_equal(first["filled"], second["filled"])
    inside = np.zeros((16, 16), bool)
    inside[5:11, 5:11] = True
    np.testing.assert_array_equal(first["filled"][:, ~inside], batch["image"][:, ~inside])
    assert (first["seen"][:, inside] == 128).all()
    band_changed = {**batch, "image": batch["image"].copy()}
    band_changed["image"][:, 4, 4] = 255 - band_changed["image"][:, 4, 4]
    assert (predict(state, band_changed)["filled"][:, inside] != first["filled"][:, inside]).any()


def test_the_band_weighs_ten_times():
    weights = np.asarray(band(8, 2))
    assert (weights[2:6, 2:6] == 1).all() and weights.sum() == 16 + 10 * (64 - 16)
    assert (np.asarray(band(4, 0)) == 1).all()


def test_the_adversarial_term_reaches_the_encoder_and_both_learn():
    batch = batch_of()
    plain, mixed = (train(task_of(adversarial=x, rule="momentum"), batch, 2)[0] for x in (0.0, 0.5))
    assert set(mixed.opt_state) == {"model", "discriminator"}
    assert "encoder" in mixed.params and "discriminator" in mixed.params
    assert "encoder" in mixed.model_state["batch_stats"]
    leaves = zip(jax.tree.leaves(plain.params["encoder"]), jax.tree.leaves(mixed.params["encoder"]), strict=True)
    assert not all(np.allclose(a, b, atol=1e-7) for a, b in leaves)
    start = jax.jit(task_of().init)(jax.random.PRNGKey(0), batch)
    moved = optax.tree.norm(jax.tree.map(jnp.subtract, mixed.params["discriminator"], start.params["discriminator"]))
    assert float(moved) > 0


@pytest.mark.parametrize(("mode", "count", "norm"), [("pmap", 4, False), ("jit", 2, True)])
def test_devices_agree(mode: str, count: int, norm: bool):
    task, batch = task_of(norm, rule="momentum"), batch_of()
    expected = devices.to_host(train(task, batch, 2))
    found = train(task, batch, 2, devices.choose(mode, jax.devices()[:count]))
    chex.assert_trees_all_close(devices.to_host(found), expected, rtol=1e-3, atol=1e-5)


def test_dcgans_discriminator_is_a_judge():
    tx = Optimizer(lr=0.01).make(2)
    judge = Discriminator(16, 1 / 64, kernel=4)
    task = context_encoder(ContextEncoder(Encoder(True), hole=16), judge, tx, tx, **GREY, hole=16, overlap=2)
    image = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    state, metrics = train(task, {"image": image}, 2)
    assert np.isfinite(float(metrics["loss"])) and "discriminator" in state.model_state["batch_stats"]


def test_holes_that_are_none():
    with pytest.raises(ValueError, match="--overlap=4: leaves nothing hidden of a hole of 8 pixels"):
        task_of(overlap=4)
    small = {"image": jnp.asarray(batch_of()["image"][:, :4, :4])}
    with pytest.raises(ValueError, match="--hole=8: larger than images of 4x4 pixels"):
        task_of().init(jax.random.PRNGKey(0), small)


def test_the_hole_is_grey_in_what_is_seen():
    batch = batch_of(2)
    see = task_of().see
    assert see is not None
    seen = np.asarray(jax.jit(see)(TrainState(0, {}, {}, {}, {}, jax.random.PRNGKey(0)), batch))
    assert seen.shape == (2, 1, 16, 16, 3) and (seen[:, 0, 5:11, 5:11] == 128).all()
    np.testing.assert_array_equal(seen[:, 0, :5], batch["image"][:, :5])
