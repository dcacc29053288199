"""Layers that all models are built from, so that padding, precision and batch-norm constants are decided once."""

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
"""A linen initializer: (key, shape, dtype) -> array."""
Layer = Callable[..., Any]
"""A linen module class, or a partial of one, that still has to be called with its name."""

# Linen's own momentum is 0.99; 0.9 is what the reference frameworks call 0.1.
BatchNorm = partial(nn.BatchNorm, momentum=0.9, epsilon=1e-5)

# He et al. (2015) by outputs, the rule of the reference frameworks' ResNets.
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
    """Make a square convolution over maps [B, H, W, C].

    Linen's 'SAME' pads convolutions of stride 2 on other sides than the reference frameworks do, so padding is only
    accepted as a number of pixels.

    Args:
        features: output channels.
        kernel_size: pixels a side of the kernel.
        strides: pixels between two outputs, in both directions.
        padding: rows and columns of zeros on every side.
        dilation: pixels between two taps of the kernel.
        groups: equal parts of the channels; an output sees the inputs of its own part only.
        **settings: further arguments of `nn.Conv`: name, dtype, use_bias, kernel_init, bias_init.

    Returns:
        The layer, with parameters "kernel" and "bias".
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
    """A square transposed convolution: [B, h, w, C] -> [B, H, W, features].

    `ops.upsampling.conv_transpose` says how large H and W are.
    """

    features: int  # output channels
    kernel_size: int  # pixels a side of the kernel
    strides: int = 1  # how many times finer the output is
    padding: int = 0  # rows and columns that are cut off on every side
    output_padding: int = 0  # rows and columns that are added at the bottom and the right
    use_bias: bool = True
    kernel_init: Initializer = nn.initializers.lecun_normal()
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

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


def conv_norm_relu(
    x: Float[Array, "B H W C"],
    channels: int,
    kernel_size: int,
    *,
    names: tuple[str, str],
    norm: Layer,
    train: bool,
    padding: int = 0,
    use_bias: bool = True,
    dtype: Dtype = jnp.float32,
) -> Float[Array, "B h w D"]:
    """Apply a convolution of He's scale, a normalisation and ReLU, as layers of the module that is running.

    Args:
        x: a map.
        channels: output channels.
        kernel_size: pixels a side of the kernel.
        names: of the convolution's and of the normalisation's parameters.
        norm: normalisation layer, called with BatchNorm's arguments.
        train: normalise by the batch's statistics.
        padding: rows and columns of zeros on every side.
        use_bias: whether the convolution adds a bias.
        dtype: type that is computed in.

    Returns:
        The map behind the ReLU.
    """
    conv_name, norm_name = names
    x = Conv(
        channels, kernel_size, padding=padding, use_bias=use_bias, kernel_init=he_normal, dtype=dtype, name=conv_name
    )(x)
    return nn.relu(norm(use_running_average=not train, dtype=dtype, name=norm_name)(x))


def scaled(channels: int, width: float, multiple: int = 1) -> int:
    """Scale a paper's channel count, for a narrower or a wider network.

    Args:
        channels: the paper's count.
        width: fraction of it to keep.
        multiple: the result divides by this number, as grouped convolutions need it.

    Returns:
        `channels` times `width`, rounded to a positive multiple of `multiple`.
    """
    return max(multiple, multiple * round(channels * width / multiple))


def to_multiple(x: Float[Array, "B H W C"], multiple: int) -> Float[Array, "B h w C"]:
    """Pad maps with zeros at the bottom and the right, until both sides divide by `multiple`."""
    return jnp.pad(x, ((0, 0), *((0, -n % multiple) for n in x.shape[1:3]), (0, 0)))
