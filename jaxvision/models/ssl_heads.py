"""A backbone with the projection head through which contrastive methods look at it; thrown away after training."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.layers import Dtype, Layer


class ProjectionHead(nn.Module):
    """[B, D] -> [B, out]: linear, or with `hidden` widths as many layers with ReLU before it.

    SimCLR: hidden (2048,) with `norm` after every layer, as its authors' code has it (Chen et al. 2020, section 2.1 and
    appendix B); MoCo v1: linear; MoCo v2: hidden (2048,), no norm (Chen et al. 2020, arXiv:2003.04297).
    """

    out: int = 128
    hidden: tuple[int, ...] = ()
    norm: Layer | None = None
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B D"], *, train: bool) -> Float[Array, "B out"]:
        for i, width in enumerate(self.hidden, start=1):
            x = nn.relu(self._layer(x, width, str(i), train))
        return self._layer(x, self.out, "_out", train)

    def _layer(self, x: Float[Array, "B D"], width: int, name: str, train: bool) -> Float[Array, "B E"]:
        x = nn.Dense(width, use_bias=self.norm is None, dtype=self.dtype, name=f"fc{name}")(x)
        if self.norm is None:
            return x
        return self.norm(use_running_average=not train, dtype=self.dtype, name=f"bn{name}")(x)


class Projected(nn.Module):
    """Everything that the `encoder` returns, and "embedding" [B, out]: what the `projector` makes of "pool"."""

    encoder: nn.Module
    projector: nn.Module

    def __call__(self, x: Float[Array, "B H W 3"], *, train: bool) -> dict[str, Float[Array, "..."]]:
        features = self.encoder(x, train=train)
        return {**features, "embedding": self.projector(features["pool"], train=train)}
