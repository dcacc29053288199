import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops.normalization import local_response_norm


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
