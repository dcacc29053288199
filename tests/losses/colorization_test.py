"""Soft codes, weights of rare colours, and one colour out of many."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.losses.colorization import annealed_mean, color_loss, rebalancing, soft_encode
from jaxvision.ops.lab import color_bins

BINS = jnp.asarray(color_bins())


def test_soft_codes_are_the_papers():
    colors = np.random.default_rng(0).uniform(-40, 40, (3, 4, 2)).astype(np.float32)
    found = np.asarray(jax.jit(soft_encode)(colors, BINS))
    np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-5)
    assert ((found > 0).sum(-1) == 5).all()
    distances = np.linalg.norm(colors[:, :, None] - np.asarray(BINS)[None, None], axis=-1)
    for at in np.ndindex(3, 4):
        five = np.argsort(distances[at])[:5]
        weights = np.exp(-(distances[at][five] ** 2) / 50)
        np.testing.assert_allclose(found[at][five], weights / weights.sum(), rtol=1e-3)


def test_a_color_on_a_bin_is_mostly_that_bin():
    code = soft_encode(jnp.array([[10.0, -20.0]]), BINS)
    np.testing.assert_array_equal(BINS[code.argmax()], [10, -20])
    np.testing.assert_allclose(code.max(), 1 / (1 + 4 * np.exp(-2)), rtol=1e-4)  # four others at distance 10


def test_a_code_means_its_color():
    """The annealed mean at T = 1 of a code's logarithm is near the colour it came from."""
    colors = jnp.array([[12.0, -7.0], [33.0, 21.0]])
    logits = jnp.log(soft_encode(colors, BINS) + 1e-12)
    np.testing.assert_allclose(annealed_mean(logits, BINS, 1.0), colors, atol=2.5)


def test_annealing_goes_from_the_mean_to_the_mode():
    bins, logits = jnp.array([[0.0, 0.0], [10.0, 0.0]]), jnp.log(jnp.array([[0.25, 0.75]]))
    np.testing.assert_allclose(annealed_mean(logits, bins, 1.0), [[7.5, 0]], rtol=1e-5)
    np.testing.assert_allclose(annealed_mean(logits, bins, 0.01), [[10, 0]], rtol=1e-5)
    sharp = 0.75 ** (1 / 0.38) / (0.75 ** (1 / 0.38) + 0.25 ** (1 / 0.38))
    np.testing.assert_allclose(annealed_mean(logits, bins), [[10 * sharp, 0]], rtol=1e-5)


def test_rare_colors_weigh_more_and_the_mean_weight_is_one():
    bins = jnp.array([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0]])  # too far apart to be smoothed into each other
    p = jnp.array([0.7, 0.3, 0.0])
    weights = rebalancing(100 * p, bins)
    raw = 1 / (0.5 * p + 0.5 / 3)
    np.testing.assert_allclose(weights, raw / jnp.sum(p * raw), rtol=1e-4)
    np.testing.assert_allclose(jnp.sum(p * weights), 1, rtol=1e-5)
    np.testing.assert_allclose(rebalancing(p, bins, 1.0), 1, rtol=1e-5)
    close = rebalancing(jnp.array([1.0, 0.0]), jnp.array([[0.0, 0.0], [10.0, 0.0]]))
    apart = rebalancing(jnp.array([1.0, 0.0]), jnp.array([[0.0, 0.0], [90.0, 0.0]]))
    assert close[1] / close[0] < apart[1] / apart[0]  # smoothing: a neighbour of a common colour is not rare


def test_the_loss_weighs_pixels_by_their_nearest_bin():
    targets = jnp.array([[[[0.9, 0.1]]], [[[0.2, 0.8]]]])
    logits = jnp.array([[[[2.0, 0.0]]], [[[1.0, 1.0]]]])
    each = -(targets * jax.nn.log_softmax(logits)).sum(-1).ravel()
    found = color_loss(logits, targets, jnp.array([0.5, 3.0]))
    np.testing.assert_allclose(found, (0.5 * each[0] + 3 * each[1]) / 2, rtol=1e-5)
    grads = jax.grad(color_loss)(logits, targets, jnp.array([0.5, 3.0]))
    expected = jnp.array([0.5, 3.0]).reshape(2, 1, 1, 1) * (jax.nn.softmax(logits) - targets) / 2
    np.testing.assert_allclose(grads, expected, atol=1e-6)
