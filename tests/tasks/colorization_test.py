"""Colours are learned from lightness alone, on any number of devices."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.losses.colorization import rebalancing
from jaxvision.models.pretext_heads import Colorizer
from jaxvision.ops.lab import color_bins, to_lab
from jaxvision.tasks.colorization import colorization, covered
from jaxvision.train import devices
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import TrainState
from tests.tasks.pretext_test import GREY, Encoder
from tests.tasks.training import ONE, train

BINS = color_bins()
WEIGHTS = rebalancing(jnp.ones(len(BINS)), jnp.asarray(BINS))


def task_of(norm: bool = False):
    model = Colorizer(Encoder(norm), len(BINS))
    tx = Optimizer(rule="adam", lr=0.03).make(100)
    return colorization(model, tx, **GREY, bins=BINS, weights=WEIGHTS)


def batch_of(rows: int = 8) -> dict:
    """Dark images are red and bright ones blue."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 20, (rows, 8, 8, 3), np.uint8)
    image[::2, :, :, 0] += 90
    image[1::2] += np.array([120, 150, 230], np.uint8)
    return {"image": image, "_mask": np.ones(rows, bool)}


def test_learns_the_colors_of_dark_and_bright():
    task, batch = task_of(norm=True), batch_of()
    state, metrics = train(task, batch, 80)
    assert float(metrics["accuracy"]) > 0.6
    outputs = devices.compile_predict(task, ONE)(state, batch)
    assert set(outputs) == {"features", "colored", "ab_error", "ab_error_grey", "auc"}
    assert outputs["colored"].shape == (8, 8, 8, 3) and outputs["colored"].dtype == np.uint8
    assert outputs["ab_error"].mean() < 0.4 * outputs["ab_error_grey"].mean()
    np.testing.assert_allclose(outputs["auc"], 1 - outputs["ab_error"] / 150, rtol=1e-4)
    red, blue = outputs["colored"][0].mean((0, 1)), outputs["colored"][1].mean((0, 1))
    assert red[0] > red[2] + 30 and blue[2] > blue[0] + 30
    lightness = to_lab(jnp.asarray(batch["image"]) / 255.0)[..., 0]
    kept = to_lab(outputs["colored"] / jnp.float32(255))[..., 0]
    np.testing.assert_allclose(np.median(np.abs(kept - lightness)), 0, atol=1.5)


def test_the_network_does_not_see_the_colors():
    task, batch = task_of(), batch_of()
    state, _ = train(task, batch, 2)
    predict = devices.compile_predict(task, ONE)
    grey = {**batch, "image": np.repeat(batch["image"][..., 1:2], 3, axis=-1)}
    tinted = predict(state, grey)
    np.testing.assert_allclose(tinted["ab_error_grey"], 0, atol=0.05)
    lab = to_lab(tinted["colored"] / jnp.float32(255))
    assert np.abs(lab[..., 1:]).mean() > 0.1  # it is coloured all the same


@pytest.mark.parametrize(("mode", "count", "norm"), [("pmap", 2, False), ("jit", 4, True)])
def test_devices_agree(mode: str, count: int, norm: bool):
    task, batch = task_of(norm), batch_of()
    expected = devices.to_host(train(task, batch, 2))
    found = train(task, batch, 2, devices.choose(mode, jax.devices()[:count]))
    chex.assert_trees_all_close(devices.to_host(found), expected, rtol=1e-3, atol=1e-4)


def test_targets_are_means_of_cells():
    values = jnp.arange(32.0).reshape(1, 4, 4, 2)
    np.testing.assert_allclose(covered(values, (2, 2))[0, :, :, 0], [[5, 9], [21, 25]])


def test_lightness_is_what_is_seen():
    see = task_of().see
    assert see is not None
    seen = np.asarray(jax.jit(see)(TrainState(0, {}, {}, {}, {}, jax.random.PRNGKey(0)), batch_of(2)))
    assert seen.shape == (2, 1, 8, 8, 3) and (seen == seen[..., :1]).all() and seen[1].min() > seen[0].max()
