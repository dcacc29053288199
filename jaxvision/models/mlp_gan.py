"""A generator and a discriminator of fully connected layers, for points of the plane.

Generator: latents z [B, Z], and labels int [B] where it is conditional; output, a dict of
    "hidden1", "hidden2", … [B, hidden]            hidden layers, behind their ReLU
    "image" [B, out], float32                      points
Discriminator: points [B, D], and labels int [B] and latents [B, Z] where it judges pairs; output, a dict of
    "hidden1", "hidden2", … [B, hidden]            hidden layers, behind their LeakyReLU (slope 0.2)
    "features" [B, hidden]                         the last of them
    "logits" [B], float32                          positive: real
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxvision.models.layers import Dtype


class MLPGenerator(nn.Module):
    """Hidden layers with ReLU, and a linear one to the points.

    ValueError: labels without `num_classes`, or the reverse.
    """

    hidden: int = 128  # units of a hidden layer
    layers: int = 3  # hidden layers
    out: int = 2  # coordinates of a point
    num_classes: int | None = None  # appends the label's one-hot vector to z (Mirza & Osindero 2014)
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(
        self, z: Float[Array, "B Z"], label: Int[Array, " B"] | None = None, *, train: bool
    ) -> dict[str, Float[Array, "B ..."]]:
        x, features = _with_label(z, label, self.num_classes), {}
        for i in range(1, self.layers + 1):
            x = features[f"hidden{i}"] = nn.relu(nn.Dense(self.hidden, dtype=self.dtype, name=f"hidden{i}")(x))
        return {**features, "image": nn.Dense(self.out, dtype=self.dtype, name="image")(x).astype(jnp.float32)}


class MLPDiscriminator(nn.Module):
    """Hidden layers with LeakyReLU, and a linear one to the score of a point.

    A latent z, where one is given, is appended to the point. ValueError: labels without `num_classes`, or the reverse.
    """

    hidden: int = 128  # units of a hidden layer
    layers: int = 3  # hidden layers
    num_classes: int | None = None  # appends the label's one-hot vector to the point (Mirza & Osindero 2014)
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

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
