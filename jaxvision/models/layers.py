"""The layers every model is built from, so that padding, precision and batch-norm constants are decided once."""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxvision.ops.convolution import conv_general_dilated

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


def scaled(channels: int, width: float, multiple: int = 1) -> int:
    """`width` times the paper's channel count, rounded to a positive multiple of `multiple`."""
    return max(multiple, multiple * round(channels * width / multiple))


def adaptive_avg_pool(x: Float[Array, "B H W C"], size: tuple[int, int]) -> Float[Array, "B h w C"]:
    """Average over size[0] × size[1] windows that cover the map: window i of n spans ⌊iH/n⌋ to ⌈(i+1)H/n⌉."""
    if x.shape[1:3] == size:
        return x
    rows = jnp.asarray(_averages(x.shape[1], size[0]), x.dtype)
    columns = jnp.asarray(_averages(x.shape[2], size[1]), x.dtype)
    return jnp.einsum("pi,qj,bijc->bpqc", rows, columns, x)


def _averages(length: int, windows: int) -> np.ndarray:
    start = np.arange(windows)[:, None] * length // windows
    stop = -(-(np.arange(windows)[:, None] + 1) * length // windows)
    index = np.arange(length)[None]
    return ((index >= start) & (index < stop)) / (stop - start)
