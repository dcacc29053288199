"""Normalisation layers in the place of `layers.BatchNorm`, whose arguments they accept, used or not.

Input: maps [B, H, W, C] or features [B, C], float. Output: the same shape, in `dtype`.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.layers import BatchNorm, Dtype, Initializer, Layer


class FrozenBatchNorm(nn.Module):
    """Batch norm as a fixed affine map: it has BatchNorm's variables, none of which ever changes.

    Only for networks with loaded weights: a new one's statistics are 0 and 1, so it does not normalise.
    """

    use_running_average: bool | None = None  # not used: it always does
    epsilon: float = 1e-5  # belongs to the weights: 0 in torchvision's COCO detectors, 1e-5 everywhere else
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32
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


class SplitBatchNorm(nn.Module):
    """Batch norm within each of `groups` equal parts of the batch's rows, as if each part were on its own device.

    It has BatchNorm's variables; running statistics follow the mean over the parts. ValueError: a batch that does not
    divide.
    """

    use_running_average: bool | None = None  # normalise by the running statistics (evaluation)
    groups: int = 1  # parts of the batch, in the order of its rows
    momentum: float = 0.9  # share of the running statistics that a step keeps
    epsilon: float = 1e-5  # added to the variance
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32
    scale_init: Initializer = nn.initializers.ones_init()

    @nn.compact
    def __call__(self, x: Float[Array, "B *s C"]) -> Float[Array, "B *s C"]:
        shape = (x.shape[-1],)
        running = [
            self.variable("batch_stats", name, fill, shape, jnp.float32)
            for name, fill in (("mean", jnp.zeros), ("var", jnp.ones))
        ]
        scale = self.param("scale", self.scale_init, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros_init(), shape, jnp.float32)
        if self.use_running_average:
            mean, var = (statistic.value[None] for statistic in running)
        else:
            mean, var = self._statistics(x)
            if not self.is_initializing():
                for statistic, new in zip(running, (mean, var), strict=True):
                    statistic.value = self.momentum * statistic.value + (1.0 - self.momentum) * new.mean(axis=0)
        factor = scale[None] * jax.lax.rsqrt(var + self.epsilon)
        parts = x.reshape(factor.shape[0], -1, shape[0])
        parts = parts * factor[:, None].astype(self.dtype) + (bias[None] - mean * factor)[:, None].astype(self.dtype)
        return parts.reshape(x.shape)

    def _statistics(self, x: Float[Array, "B *s C"]) -> tuple[Float[Array, "G C"], Float[Array, "G C"]]:
        if x.shape[0] % self.groups:
            raise ValueError(f"a batch of {x.shape[0]} does not divide by {self.groups} groups of batch norm")
        parts = x.astype(jnp.float32).reshape(self.groups, -1, x.shape[-1])
        mean = parts.mean(axis=1)
        return mean, jnp.maximum(jnp.square(parts).mean(axis=1) - jnp.square(mean), 0.0)


class GroupNorm(nn.Module):
    """Group norm (Wu & He 2018) of 32 groups, or fewer, so that each has two channels; batches may hold one image."""

    use_running_average: bool | None = None  # not used: there are no running statistics
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32
    scale_init: Initializer = nn.initializers.ones_init()

    @nn.compact
    def __call__(self, x: Float[Array, "*b C"]) -> Float[Array, "*b C"]:
        groups = math.gcd(32, max(1, x.shape[-1] // 2))
        norm: Any = nn.GroupNorm(groups, epsilon=1e-5, dtype=self.dtype, scale_init=self.scale_init)
        nn.share_scope(self, norm)
        return norm(x)


NORMS: dict[str, Layer] = {"batch": BatchNorm, "frozen": FrozenBatchNorm, "group": GroupNorm}
