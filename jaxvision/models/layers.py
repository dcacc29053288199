"""The layers every model is built from, so that padding, precision and batch-norm constants are decided once."""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.ops.convolution import conv_general_dilated
from jaxvision.ops.upsampling import conv_transpose

Dtype = Any
Initializer = Callable[..., Array]
Layer = Callable[..., Any]

# Linen's own momentum is 0.99; 0.9 is what the reference frameworks call 0.1.
BatchNorm = partial(nn.BatchNorm, momentum=0.9, epsilon=1e-5)

he_normal = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


def Conv(
    features: int,
    kernel_size: int,
    *,
    strides: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
    **settings: Any,
) -> nn.Conv:
    """A square convolution over [B, H, W, C] padded by `padding` zeros on every side.

    `settings` are linen's: name, dtype, use_bias, kernel_init, bias_init. Linen's 'SAME' pads stride-2 convolutions on
    other sides than the reference frameworks do, so only a number of pixels is accepted.
    """
    return nn.Conv(
        features,
        (kernel_size, kernel_size),
        strides=(strides, strides),
        padding=((padding, padding), (padding, padding)),
        kernel_dilation=(dilation, dilation),
        feature_group_count=groups,
        conv_general_dilated=conv_general_dilated,
        **settings,
    )


class ConvTranspose(nn.Module):
    """A square transposed convolution over [B, H, W, C]; see `ops.upsampling.conv_transpose` for the size it gives."""

    features: int
    kernel_size: int
    strides: int = 1
    padding: int = 0
    output_padding: int = 0
    use_bias: bool = True
    kernel_init: Initializer = nn.initializers.lecun_normal()
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B h w D"]:
        shape = (self.kernel_size, self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        y = conv_transpose(
            x.astype(self.dtype), kernel.astype(self.dtype), self.strides, self.padding, self.output_padding
        )
        if not self.use_bias:
            return y
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,), jnp.float32)
        return y + bias.astype(self.dtype)[None, None, None]


def scaled(channels: int, width: float, multiple: int = 1) -> int:
    """`width` times the paper's channel count, rounded to a positive multiple of `multiple`."""
    return max(multiple, multiple * round(channels * width / multiple))


def to_multiple(x: Float[Array, "B H W C"], multiple: int) -> Float[Array, "B h w C"]:
    """`x` with zeros at the bottom and the right, so that its sides divide by `multiple`."""
    return jnp.pad(x, ((0, 0), *((0, -n % multiple) for n in x.shape[1:3]), (0, 0)))
