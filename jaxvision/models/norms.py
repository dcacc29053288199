"""Normalisation layers that take the place of `layers.BatchNorm`: they accept its arguments, whatever they need."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.layers import BatchNorm, Dtype, Initializer, Layer


class FrozenBatchNorm(nn.Module):
    """Batch norm as a fixed affine map: BatchNorm's variables, of which none ever changes.

    Only for networks with loaded weights: the statistics of a new one are 0 and 1, and it does not normalise. `epsilon`
    belongs to the weights: torchvision's COCO detectors were trained with 0, everything else with 1e-5.
    """

    use_running_average: bool | None = None
    epsilon: float = 1e-5
    dtype: Dtype = jnp.float32
    scale_init: Initializer = nn.initializers.ones_init()

    @nn.compact
    def __call__(self, x: Float[Array, "*b C"]) -> Float[Array, "*b C"]:
        shape = (x.shape[-1],)
        mean = self.variable("batch_stats", "mean", jnp.zeros, shape, jnp.float32).value
        var = self.variable("batch_stats", "var", jnp.ones, shape, jnp.float32).value
        scale = jax.lax.stop_gradient(self.param("scale", self.scale_init, shape, jnp.float32))
        bias = jax.lax.stop_gradient(self.param("bias", nn.initializers.zeros_init(), shape, jnp.float32))
        factor = scale * jax.lax.rsqrt(var + self.epsilon)
        row = (1,) * (x.ndim - 1) + shape
        shift = bias - mean * factor
        return x * factor.reshape(row).astype(self.dtype) + shift.reshape(row).astype(self.dtype)


class GroupNorm(nn.Module):
    """Group norm (Wu & He 2018): 32 groups, or as many as leave two channels in each. Batches may hold one image."""

    use_running_average: bool | None = None
    dtype: Dtype = jnp.float32
    scale_init: Initializer = nn.initializers.ones_init()

    @nn.compact
    def __call__(self, x: Float[Array, "*b C"]) -> Float[Array, "*b C"]:
        groups = math.gcd(32, max(1, x.shape[-1] // 2))
        norm: Any = nn.GroupNorm(groups, epsilon=1e-5, dtype=self.dtype, scale_init=self.scale_init)
        nn.share_scope(self, norm)
        return norm(x)


NORMS: dict[str, Layer] = {"batch": BatchNorm, "frozen": FrozenBatchNorm, "group": GroupNorm}
