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


class SplitBatchNorm(nn.Module):
    """Batch norm within each of `groups` equal parts of the batch, in the order of its rows, as if each part were on a
    device of its own. The running statistics are those of an average part. Has BatchNorm's variables.

    ValueError: a batch that does not divide.
    """

    use_running_average: bool | None = None
    groups: int = 1
    momentum: float = 0.9
    epsilon: float = 1e-5
    dtype: Dtype = jnp.float32
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
