import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.layers import BatchNorm, Conv, ConvTranspose, scaled


@pytest.mark.parametrize(
    ("size", "kernel_size", "settings", "expected"),
    [
        (224, 7, {"strides": 2, "padding": 3}, 112),
        (227, 11, {"strides": 4}, 55),
        (9, 3, {"padding": 2, "dilation": 2}, 9),
        (8, 1, {"strides": 2}, 4),
    ],
)
def test_convolution_pads_the_stated_pixels(
    size: int, kernel_size: int, settings: dict[str, int], expected: int
) -> None:
    x = jax.ShapeDtypeStruct((1, size, size, 4), jnp.float32)
    y, variables = jax.eval_shape(Conv(6, kernel_size, **settings).init_with_output, jax.random.PRNGKey(0), x)
    chex.assert_shape(y, (1, expected, expected, 6))
    chex.assert_shape(variables["params"]["kernel"], (kernel_size, kernel_size, 4, 6))


def test_convolution_equals_linens_own() -> None:
    x = jax.random.normal(jax.random.PRNGKey(0), (2, 9, 9, 4))
    ours = Conv(6, 3, strides=2, padding=1, groups=2)
    linens = nn.Conv(6, (3, 3), (2, 2), ((1, 1), (1, 1)), feature_group_count=2)
    variables = linens.init(jax.random.key(1, impl="rbg"), x)
    chex.assert_trees_all_close(ours.apply(variables, x), linens.apply(variables, x), atol=1e-5)


def test_transposed_convolution_spreads_a_pixel_over_its_kernel() -> None:
    layer = ConvTranspose(3, 2, strides=2)
    x = jnp.zeros((1, 2, 3, 1)).at[0, 1, 2, 0].set(2.0)
    y, variables = layer.init_with_output(jax.random.key(0, impl="rbg"), x)
    params = variables["params"]
    assert y.shape == (1, 4, 6, 3)
    np.testing.assert_allclose(y[0, 2:, 4:], 2.0 * params["kernel"][:, :, 0], rtol=1e-6)
    assert not y[0, :2].any()
    assert not y[0, :, :4].any()
    chex.assert_shape(params["bias"], (3,))
    assert "bias" not in ConvTranspose(3, 2, use_bias=False).init(jax.random.key(0, impl="rbg"), x)["params"]


def test_batch_norm_keeps_nine_tenths_of_the_running_mean() -> None:
    x = jnp.full((4, 2, 2, 1), 5.0)
    _, variables = BatchNorm(use_running_average=False).init_with_output(jax.random.key(0, impl="rbg"), x)
    _, updated = BatchNorm(use_running_average=False).apply(variables, x, mutable="batch_stats")
    np.testing.assert_allclose(updated["batch_stats"]["mean"], [0.5], rtol=1e-6)


def test_scaled_channels_are_positive_multiples() -> None:
    assert scaled(64, 1.0) == 64
    assert scaled(16, 0.01) == 1
    assert scaled(96, 0.1, multiple=2) == 10
    assert scaled(96, 0.001, multiple=2) == 2
