import numpy as np
import pytest

from jaxvision.evals.latent_space import arithmetic, between

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("prior", ["uniform", "normal"])
def test_walks_start_and_end_where_they_should(prior):
    start, end = RNG.normal(size=(2, 4, 10)).astype(np.float32)
    walk = between(start, end, 7, prior)
    assert walk.shape == (4, 7, 10) and walk.dtype == np.float32
    np.testing.assert_allclose(walk[:, 0], start, atol=1e-6)
    np.testing.assert_allclose(walk[:, -1], end, atol=1e-6)


def test_uniform_latents_are_joined_by_a_line():
    start, end = RNG.uniform(-1, 1, (2, 2, 5))
    np.testing.assert_allclose(between(start, end, 3, "uniform")[:, 1], (start + end) / 2)


def test_normal_latents_are_joined_by_an_arc_of_even_steps():
    start, end = np.array([[2.0, 0.0, 0.0]]), np.array([[0.0, 2.0, 0.0]])
    walk = between(start, end, 4, "normal")[0]
    np.testing.assert_allclose(np.linalg.norm(walk, axis=1), 2.0)
    angles = np.arctan2(walk[:, 1], walk[:, 0])
    np.testing.assert_allclose(np.diff(angles), np.pi / 6)


@pytest.mark.parametrize("factor", [2.0, -1.0])
def test_latents_that_span_no_plane_are_joined_by_a_line(factor):
    start = RNG.normal(size=(1, 3))
    np.testing.assert_allclose(between(start, factor * start, 3, "normal")[:, 1], start * (1 + factor) / 2, atol=1e-12)


def test_a_latent_of_zeros_has_no_direction_but_a_walk():
    walk = between(np.zeros((1, 3)), np.ones((1, 3)), 3, "normal")
    assert np.isfinite(walk).all() and np.all(walk[0, 0] == 0)


def test_one_latent_is_no_walk():
    with pytest.raises(ValueError, match="at least 2"):
        between(np.ones((1, 2)), np.ones((1, 2)), 1, "normal")


def test_sums_of_means():
    examples = [RNG.normal(size=(n, 4)).astype(np.float32) for n in (3, 2, 5)]
    means, results = arithmetic(examples, [1, -1, 1])
    np.testing.assert_allclose(means, [e.mean(axis=0) for e in examples], rtol=1e-6)
    np.testing.assert_allclose(results[4], means[0] - means[1] + means[2], rtol=1e-6)
    off = np.delete(results, 4, axis=0) - results[4]
    assert 0.15 < np.abs(off).max() <= 0.2501 and np.all(np.any(off != 0, axis=1))
    np.testing.assert_array_equal(arithmetic(examples, [1, -1, 1])[1], results)
    with pytest.raises(ValueError, match="2 signs for 3 terms"):
        arithmetic(examples, [1, -1])
