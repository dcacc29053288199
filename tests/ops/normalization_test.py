import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops.normalization import local_contrast_norm, local_response_norm


def loop(x, size, k, alpha, beta):
    y = np.zeros_like(x)
    for c in range(x.shape[-1]):
        near = x[..., max(c - size // 2, 0) : c + size // 2 + 1]
        y[..., c] = x[..., c] / (k + alpha * np.square(near).sum(-1)) ** beta
    return y


@pytest.mark.parametrize(
    "settings", [(5, 2.0, 1e-4, 0.75), (3, 1.0, 0.5, 0.75), (5, 1.0, 2.0, 0.5), (1, 2.0, 1.0, 0.75)]
)
@pytest.mark.parametrize("channels", [1, 3, 9])
def test_equals_the_loop(settings, channels):
    x = np.random.default_rng(0).normal(size=(2, 3, 4, channels)).astype(np.float32)
    got = local_response_norm(jnp.asarray(x), **dict(zip(("size", "k", "alpha", "beta"), settings, strict=True)))
    np.testing.assert_allclose(got, loop(x, *settings), rtol=1e-5)


def test_the_gradient_by_differences():
    x = np.random.default_rng(0).normal(size=(2, 7))
    dx = jax.grad(lambda x: jnp.sum(jnp.sin(local_response_norm(x, alpha=0.5))))(jnp.asarray(x, jnp.float32))
    for at in np.ndindex(*x.shape):
        step = np.zeros_like(x)
        step[at] = 1e-4
        high, low = (np.sin(loop(x + s, 5, 2.0, 0.5, 0.75)).sum() for s in (step, -step))
        np.testing.assert_allclose(dx[at], (high - low) / 2e-4, atol=1e-5)


def test_a_zero_map_has_a_finite_gradient():
    assert jnp.isfinite(jax.grad(lambda x: local_response_norm(x).sum())(jnp.zeros((1, 4)))).all()


def test_an_even_size_is_refused():
    with pytest.raises(ValueError, match="size=4"):
        local_response_norm(jnp.zeros((1, 8)), size=4)


def test_local_contrast_is_what_jarrett_writes():
    x = np.random.default_rng(0).normal(size=(1, 14, 15, 3)).astype(np.float32)
    found = np.asarray(local_contrast_norm(jnp.asarray(x), size=5, sigma=1.5))
    steps = np.arange(-2, 3)
    window = np.exp(-(steps[:, None] ** 2 + steps[None] ** 2) / (2 * 1.5**2))
    centred, deviation = np.zeros((14, 15, 3)), np.zeros((14, 15))

    def average(values: np.ndarray, i: int, j: int) -> float:
        rows, columns = (slice(max(0, at - 2), at + 3) for at in (i, j))
        part = window[max(0, 2 - i) : 2 + 14 - i, max(0, 2 - j) : 2 + 15 - j]
        return float((part * values[rows, columns].mean(-1)).sum() / part.sum())

    for i, j in np.ndindex(14, 15):
        centred[i, j] = x[0, i, j] - average(x[0], i, j)
    for i, j in np.ndindex(14, 15):
        deviation[i, j] = np.sqrt(average(centred**2, i, j))
    expected = centred / np.maximum(deviation, deviation.mean())[..., None]
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-5)


def test_local_contrast_takes_away_brightness_and_scale_and_leaves_flat_images_flat():
    x = jnp.asarray(np.random.default_rng(1).normal(size=(2, 12, 12, 3)), jnp.float32)
    np.testing.assert_allclose(local_contrast_norm(40 * x + 90), local_contrast_norm(x), atol=1e-3)
    np.testing.assert_allclose(local_contrast_norm(jnp.full((1, 12, 12, 3), 7.0)), 0.0, atol=1e-3)
    with pytest.raises(ValueError, match="size=4 has no middle pixel"):
        local_contrast_norm(x, size=4)
