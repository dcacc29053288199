"""Projection heads, which contrastive methods put on an encoder for training and take off afterwards.

Input of `Projected`: images [B, H, W, 3], float, normalised.
Output, a dict of the encoder's features, among them "pool" [B, D], and
    "embedding" [B, out]                           the projection head on "pool"
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.layers import Dtype, Layer


class ProjectionHead(nn.Module):
    """A linear layer [B, D] -> [B, out], with ReLU layers of `hidden` units before it.

    SimCLR: hidden (2048,) with `norm` after every layer, as its authors' code has it (Chen et al. 2020, section 2.1 and
    appendix B); MoCo v1: linear; MoCo v2: hidden (2048,), no norm (Chen et al. 2020, arXiv:2003.04297).

    Example:
        >>> model, features = ProjectionHead(out=128, hidden=(512,)), jnp.zeros((1, 512))
        >>> projected, _ = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), features, train=False))
        >>> projected.shape
        (1, 128)
    """

    out: int = 128  # outputs
    hidden: tuple[int, ...] = ()  # units of each hidden layer; none: a linear head
    norm: Layer | None = None  # normalisation behind every layer, in the place of its bias
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(self, x: Float[Array, "B D"], *, train: bool) -> Float[Array, "B out"]:
        for i, units in enumerate(self.hidden, start=1):
            x = nn.relu(self._layer(x, units, str(i), train))
        return self._layer(x, self.out, "_out", train)

    def _layer(self, x: Float[Array, "B D"], units: int, name: str, train: bool) -> Float[Array, "B E"]:
        x = nn.Dense(units, use_bias=self.norm is None, dtype=self.dtype, name=f"fc{name}")(x)
        if self.norm is None:
            return x
        return self.norm(use_running_average=not train, dtype=self.dtype, name=f"bn{name}")(x)


class Projected(nn.Module):
    """An encoder with a projection head."""

    encoder: nn.Module  # (images, *, train) -> features by name, among them "pool" [B, D]
    projector: nn.Module  # (pool, *, train) -> embedding [B, out]

    def __call__(self, x: Float[Array, "B H W 3"], *, train: bool) -> dict[str, Float[Array, "..."]]:
        features = self.encoder(x, train=train)
        return {**features, "embedding": self.projector(features["pool"], train=train)}
