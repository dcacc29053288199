"""What stands on an encoder while it solves a pretext task: a puzzle's answer, colours, the content of a hole.

An encoder is any network `(images, *, train) -> {"pool": [B, D], "layer4": [B, h, w, C], …}`; its parameters are found
under "encoder".
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.layers import BatchNorm, Conv, ConvTranspose, Dtype, Layer, he_normal


class PieceClassifier(nn.Module):
    """Pieces of an image [B, N, h, w, 3] -> "pool" [B, N, D] of each and "logits" [B, K] of all together.

    The encoder is one tower for each piece, with shared weights, and perhaps a shared layer of `tower` units ("fc6");
    then towers are concatenated and joined by a layer of `joint` units ("fc7") and the answer: late fusion (Doersch et
    al. 2015, figure 3; Noroozi & Favaro 2016, figure 3). Zero units leave a layer out: with one piece that is the
    linear classifier of Gidaris et al. 2018.
    """

    encoder: nn.Module
    num_classes: int
    tower: int = 0
    joint: int = 0
    norm: Layer = BatchNorm
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, pieces: Float[Array, "B N h w 3"], *, train: bool) -> dict[str, Float[Array, "..."]]:
        batch, count = pieces.shape[:2]
        pool = self.encoder(pieces.reshape(batch * count, *pieces.shape[2:]), train=train)["pool"]
        x = self._layer(pool, self.tower, "fc6", train)
        x = self._layer(x.reshape(batch, -1), self.joint, "fc7", train)
        logits = nn.Dense(self.num_classes, dtype=self.dtype, name="answer")(x)
        return {"pool": pool.reshape(batch, count, -1), "logits": logits}

    def _layer(self, x: Float[Array, "B D"], units: int, name: str, train: bool) -> Float[Array, "B E"]:
        if not units:
            return x
        x = nn.Dense(units, use_bias=False, kernel_init=he_normal, dtype=self.dtype, name=name)(x)
        return nn.relu(self.norm(use_running_average=not train, dtype=self.dtype, name=f"{name}_bn")(x))


class Colorizer(nn.Module):
    """Grey images [B, S, S, 3] -> "logits" [B, S/4, S/4, Q] over colour bins (Zhang et al. 2016, section 3).

    From the encoder's last map, transposed convolutions of stride 2 lead up to a quarter of the image's resolution,
    where the paper predicts; its network keeps the resolution by dilation instead. Nothing leads around the encoder.
    """

    encoder: nn.Module
    bins: int
    norm: Layer = BatchNorm
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, images: Float[Array, "B S S 3"], *, train: bool) -> dict[str, Float[Array, "..."]]:
        x = self.encoder(images, train=train)["layer4"]
        channels = max(1, x.shape[-1] // 2)
        for i in range(doublings(x.shape[1], images.shape[1] / 4, "a quarter of the image")):
            x = up(x, channels, i + 1, self.norm, self.dtype, train)
        return {"logits": Conv(self.bins, 1, dtype=self.dtype, name="colors")(x)}


class ContextEncoder(nn.Module):
    """Images with a hole [B, S, S, 3] -> "fill" [B, hole, hole, 3] in [-1, 1] (Pathak et al. 2016, section 3).

    The encoder's last map passes through the bottleneck, a fully connected layer within each channel, so that every
    place of the hole can draw on every place around it, and a 1×1 convolution across channels; transposed convolutions
    of stride 2 lead up to the hole's size.
    """

    encoder: nn.Module
    hole: int
    norm: Layer = BatchNorm
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, images: Float[Array, "B S S 3"], *, train: bool) -> dict[str, Float[Array, "..."]]:
        x = self.encoder(images, train=train)["layer4"]
        steps = doublings(x.shape[1], self.hole, "the hole")
        if not steps:
            raise ValueError(f"--hole={self.hole}: not larger than the encoder's last map; give twice as much or more")
        x = nn.relu(ChannelwiseDense(dtype=self.dtype, name="bottleneck")(x))
        x = Conv(x.shape[-1], 1, use_bias=False, kernel_init=he_normal, dtype=self.dtype, name="across")(x)
        x = nn.relu(self.norm(use_running_average=not train, dtype=self.dtype, name="across_bn")(x))
        for i in range(1, steps):
            x = up(x, max(8, x.shape[-1] // 2), i, self.norm, self.dtype, train)
        x = ConvTranspose(3, 4, 2, 1, dtype=self.dtype, name="fill")(x)
        return {"fill": jnp.tanh(x.astype(jnp.float32))}


class ChannelwiseDense(nn.Module):
    """[B, h, w, C] -> [B, h, w, C]: every channel its own fully connected layer over positions, C·(hw)² weights where
    one layer over all would have C² as many (Pathak et al. 2016, section 3.2).
    """

    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B h w C"]) -> Float[Array, "B h w C"]:
        batch, height, width, channels = x.shape
        places = height * width
        init = nn.initializers.variance_scaling(1.0, "fan_in", "normal", in_axis=1, out_axis=2, batch_axis=0)
        kernel = self.param("kernel", init, (channels, places, places), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros_init(), (places, channels), jnp.float32)
        flat = x.reshape(batch, places, channels).astype(self.dtype)
        y = jnp.einsum("bic,cij->bjc", flat, kernel.astype(self.dtype)) + bias.astype(self.dtype)[None]
        return y.reshape(x.shape)


def up(x: Float[Array, "B h w C"], channels: int, i: int, norm: Layer, dtype: Dtype, train: bool) -> Array:
    """Twice the resolution: a 4×4 transposed convolution of stride 2, batch norm, ReLU, in the scope of the caller."""
    x = ConvTranspose(channels, 4, 2, 1, use_bias=False, kernel_init=he_normal, dtype=dtype, name=f"up{i}")(x)
    return nn.relu(norm(use_running_average=not train, dtype=dtype, name=f"up{i}_bn")(x))


def doublings(side: int, target: int | float, what: str) -> int:
    """How often `side` must be doubled to give `target`; ValueError where no doubling gives it."""
    count = next((n for n in range(16) if side * 2**n >= target), 0)
    if side * 2**count != target:
        raise ValueError(
            f"--image_size: the encoder's last map of {side} pixels, doubled, never is {what}'s {target:g}; give a "
            "size that the encoder halves without remainder, such as 32, 64 or 128"
        )
    return count
