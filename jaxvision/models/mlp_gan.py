"""A generator and a discriminator of fully connected layers, for points of the plane."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxvision.models.layers import Dtype


class MLPGenerator(nn.Module):
    """z [B, Z] -> "image" [B, out]: `layers` hidden layers of `hidden` units with ReLU."""

    hidden: int = 128
    layers: int = 3
    out: int = 2
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, z: Float[Array, "B Z"], label: Int[Array, " B"] | None = None, *, train: bool
    ) -> dict[str, Float[Array, "B ..."]]:
        x = z
        for i in range(1, self.layers + 1):
            x = nn.relu(nn.Dense(self.hidden, dtype=self.dtype, name=f"hidden{i}")(x))
        return {"image": nn.Dense(self.out, dtype=self.dtype, name="image")(x).astype(jnp.float32)}


class MLPDiscriminator(nn.Module):
    """Points [B, D] -> "features" [B, hidden] and "logits" [B]: hidden layers with LeakyReLU 0.2."""

    hidden: int = 128
    layers: int = 3
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "B D"],
        label: Int[Array, " B"] | None = None,
        z: Float[Array, "B Z"] | None = None,
        *,
        train: bool,
    ) -> dict[str, Float[Array, "B ..."]]:
        x = image
        for i in range(1, self.layers + 1):
            x = nn.leaky_relu(nn.Dense(self.hidden, dtype=self.dtype, name=f"hidden{i}")(x), 0.2)
        logits = nn.Dense(1, dtype=self.dtype, name="score")(x)[:, 0]
        return {"features": x, "logits": logits.astype(jnp.float32)}
