"""A generator and a discriminator of fully connected layers, for points of the plane."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxvision.models.layers import Dtype


class MLPGenerator(nn.Module):
    """z [B, Z] -> "hidden1", … [B, hidden] and "image" [B, out]: `layers` hidden layers with ReLU.

    With `num_classes` the label's one-hot vector is appended to z (Mirza & Osindero 2014).
    """

    hidden: int = 128
    layers: int = 3
    out: int = 2
    num_classes: int | None = None
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self, z: Float[Array, "B Z"], label: Int[Array, " B"] | None = None, *, train: bool
    ) -> dict[str, Float[Array, "B ..."]]:
        x, features = _with_label(z, label, self.num_classes), {}
        for i in range(1, self.layers + 1):
            x = features[f"hidden{i}"] = nn.relu(nn.Dense(self.hidden, dtype=self.dtype, name=f"hidden{i}")(x))
        return {**features, "image": nn.Dense(self.out, dtype=self.dtype, name="image")(x).astype(jnp.float32)}


class MLPDiscriminator(nn.Module):
    """Points [B, D] -> "hidden1", …, "features" [B, hidden] (the last of them) and "logits" [B]; LeakyReLU 0.2.

    With `num_classes` the label's one-hot vector is appended to the point, and a latent z where one is given, so that
    it judges pairs.
    """

    hidden: int = 128
    layers: int = 3
    num_classes: int | None = None
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
        x, features = _with_label(image, label, self.num_classes), {}
        x = x if z is None else jnp.concatenate([x, z], axis=-1)
        for i in range(1, self.layers + 1):
            x = nn.leaky_relu(nn.Dense(self.hidden, dtype=self.dtype, name=f"hidden{i}")(x), 0.2)
            features[f"hidden{i}"] = x
        logits = nn.Dense(1, dtype=self.dtype, name="score")(x)[:, 0]
        return {**features, "features": x, "logits": logits.astype(jnp.float32)}


def _with_label(
    x: Float[Array, "B D"], label: Int[Array, " B"] | None, num_classes: int | None
) -> Float[Array, "B more"]:
    if label is not None and num_classes is not None:
        return jnp.concatenate([x, jax.nn.one_hot(label, num_classes)], axis=-1)
    if label is not None or num_classes is not None:
        raise ValueError(
            f"an MLP with num_classes={num_classes} got {'no' if label is None else 'a'} label: give both or none"
        )
    return x
