"""Fully connected layers as products of two thin ones, by truncated SVD (Girshick 2015, section 3.1).

With W ≈ U Σ_t Vᵀ of rank t, a layer of u inputs and v outputs takes t·(u + v) multiplications instead of u·v.
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Ranks = tuple[int, int]
"""Ranks of fc6 and of fc7; 0: the whole matrix."""


class LowRankDense(nn.Module):
    """A linear layer [*, F] -> [*, features] in two: "down" to `rank` numbers without a bias, then "up"."""

    features: int  # outputs
    rank: int  # numbers between the two layers
    kernel_init: Any = nn.initializers.lecun_normal()
    bias_init: Any = nn.initializers.zeros_init()
    dtype: Any = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(self, x: Float[Array, "*b F"]) -> Float[Array, "*b G"]:
        x = nn.Dense(self.rank, use_bias=False, kernel_init=self.kernel_init, dtype=self.dtype, name="down")(x)
        up = nn.Dense(
            self.features, kernel_init=self.kernel_init, bias_init=self.bias_init, dtype=self.dtype, name="up"
        )
        return up(x)


def dense(features: int, rank: int, **settings: Any) -> nn.Module:
    """Make a fully connected layer, of low rank where one is given.

    Args:
        features: outputs.
        rank: of the layer; 0: the whole matrix.
        **settings: further arguments of `nn.Dense`.

    Returns:
        The layer.
    """
    return LowRankDense(features, rank, **settings) if rank else nn.Dense(features, **settings)


def truncate(params: Mapping[str, Any], ranks: Ranks) -> dict[str, Any]:
    """Replace fc6 and fc7 of a head by the nearest layers of lower rank; keep the other layers.

    Raises:
        ValueError: a rank that is larger than the layer's own.
    """
    truncated = dict(params)
    for name, rank in zip(("fc6", "fc7"), ranks, strict=True):
        if rank:
            kernel, most = np.asarray(params[name]["kernel"], np.float32), min(params[name]["kernel"].shape)
            if not 0 < rank <= most:
                raise ValueError(
                    f"ranks={ranks}: {name} has rank {most}; choose from 1 to that, or 0 for the whole layer"
                )
            left, values, right = np.linalg.svd(kernel, full_matrices=False)
            down, up = left[:, :rank] * values[None, :rank], right[:rank]
            bias = params[name]["bias"]
            truncated[name] = {"down": {"kernel": jnp.asarray(down)}, "up": {"kernel": jnp.asarray(up), "bias": bias}}
    return truncated
