"""Heads that stand on an encoder while it solves a pretext task: a puzzle, colours, the content of a hole.

The encoder is any network (images [B, S, S, 3], *, train) -> {"pool": [B, D], "layer4": [B, h, w, C], …}, float and
normalised; its parameters are under "encoder". Outputs, each a dict:
    PieceClassifier: "pool" [B, N, D], "logits" [B, K]     features of each piece, scores of the answers
    Colorizer: "logits" [B, S/4, S/4, Q]                   scores of the colour bins
    ContextEncoder: "fill" [B, hole, hole, 3], float32     content of the hole, in [-1, 1]
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.layers import BatchNorm, Conv, ConvTranspose, Dtype, Layer, he_normal


class PieceClassifier(nn.Module):
    """Classify what the N pieces of an image [B, N, h, w, 3] are to each other, by late fusion.

    One tower for each piece, with shared weights: the encoder, and perhaps a layer of `tower` units ("fc6"). Towers are
    concatenated and joined by a layer of `joint` units ("fc7"), perhaps another of `last` units ("fc8"), and the answer
    (Doersch et al. 2015, figure 3; Noroozi & Favaro 2016, figure 3). With one piece and none of these layers it is the
    linear classifier of Gidaris et al. (2018).
    """

    encoder: nn.Module
    num_classes: int  # K, possible answers
    tower: int = 0  # units of "fc6"; 0: no such layer
    joint: int = 0  # units of "fc7"; 0: no such layer
    last: int = 0  # units of "fc8", which has no normalisation; 0: no such layer
    norm: Layer = BatchNorm  # normalisation behind "fc6" and "fc7"
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(self, pieces: Float[Array, "B N h w 3"], *, train: bool) -> dict[str, Float[Array, "..."]]:
        batch, count = pieces.shape[:2]
        pool = self.encoder(pieces.reshape(batch * count, *pieces.shape[2:]), train=train)["pool"]
        x = self._layer(pool, self.tower, "fc6", train)
        x = self._layer(x.reshape(batch, -1), self.joint, "fc7", train)
        if self.last:
            x = nn.relu(nn.Dense(self.last, kernel_init=he_normal, dtype=self.dtype, name="fc8")(x))
        logits = nn.Dense(self.num_classes, dtype=self.dtype, name="answer")(x)
        return {"pool": pool.reshape(batch, count, -1), "logits": logits}

    def _layer(self, x: Float[Array, "B D"], units: int, name: str, train: bool) -> Float[Array, "B E"]:
        if not units:
            return x
        x = nn.Dense(units, use_bias=False, kernel_init=he_normal, dtype=self.dtype, name=name)(x)
        return nn.relu(self.norm(use_running_average=not train, dtype=self.dtype, name=f"{name}_bn")(x))


class Colorizer(nn.Module):
    """Predict the colour of a grey image [B, S, S, 3], as a distribution over bins (Zhang et al. 2016, section 3).

    From the encoder's last map, transposed convolutions of stride 2 lead up to a quarter of the image's resolution,
    where the paper predicts: one from its own encoder (`pretext_networks.DilatedVGG`) with two 3×3 convolutions behind.
    There are no skip connections.
    """

    encoder: nn.Module
    bins: int  # Q, colours to choose from
    refining: int = 0  # 3×3 convolutions between the last transposed one and the colours; the paper's network has 2
    norm: Layer = BatchNorm  # normalisation behind each transposed convolution
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(self, images: Float[Array, "B S S 3"], *, train: bool) -> dict[str, Float[Array, "..."]]:
        x = self.encoder(images, train=train)["layer4"]
        channels = max(1, x.shape[-1] // 2)
        for i in range(doublings(x.shape[1], images.shape[1] / 4, "a quarter of the image")):
            x = up(x, channels, i + 1, self.norm, self.dtype, train)
        for i in range(1, self.refining + 1):
            x = nn.relu(Conv(x.shape[-1], 3, padding=1, kernel_init=he_normal, dtype=self.dtype, name=f"refine{i}")(x))
        return {"logits": Conv(self.bins, 1, dtype=self.dtype, name="colors")(x)}


class ContextEncoder(nn.Module):
    """Fill the hole of an image [B, S, S, 3] (Pathak et al. 2016, section 3).

    The encoder's last map passes through a bottleneck: a fully connected layer within each channel, by which every
    place of the hole can draw on every place around it, and a 1×1 convolution across channels. With `bottleneck` it is
    one vector of so many numbers, as in the released code. Transposed convolutions of stride 2 lead up to the hole's
    size. ValueError: a hole that no doubling of the last map gives.
    """

    encoder: nn.Module
    hole: int  # pixels a side
    bottleneck: int = 0  # numbers of the vector between encoder and decoder; 0: the paper's channel-wise layer
    norm: Layer = BatchNorm  # normalisation behind each layer of the decoder
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(self, images: Float[Array, "B S S 3"], *, train: bool) -> dict[str, Float[Array, "..."]]:
        x = self.encoder(images, train=train)["layer4"]
        count = doublings(x.shape[1], self.hole, "the hole")
        if not count:
            raise ValueError(f"--hole={self.hole}: not larger than the encoder's last map; give twice as much or more")
        if self.bottleneck:
            x = self._through_a_vector(x, train)
        else:
            x = nn.relu(ChannelwiseDense(dtype=self.dtype, name="bottleneck")(x))
            x = Conv(x.shape[-1], 1, use_bias=False, kernel_init=he_normal, dtype=self.dtype, name="across")(x)
        x = nn.relu(self.norm(use_running_average=not train, dtype=self.dtype, name="across_bn")(x))
        for i in range(1, count):
            x = up(x, max(8, x.shape[-1] // 2), i, self.norm, self.dtype, train)
        x = ConvTranspose(3, 4, 2, 1, dtype=self.dtype, name="fill")(x)
        return {"fill": jnp.tanh(x.astype(jnp.float32))}

    def _through_a_vector(self, x: Float[Array, "B h h C"], train: bool) -> Float[Array, "B h h C"]:
        """Take the whole map into one vector, and from it a map of the same size, not yet normalised."""
        side, channels = x.shape[1], x.shape[-1]
        x = Conv(self.bottleneck, side, use_bias=False, kernel_init=he_normal, dtype=self.dtype, name="bottleneck")(x)
        x = nn.leaky_relu(self.norm(use_running_average=not train, dtype=self.dtype, name="bottleneck_bn")(x), 0.2)
        return ConvTranspose(
            channels, side, 1, 0, use_bias=False, kernel_init=he_normal, dtype=self.dtype, name="across"
        )(x)


class ChannelwiseDense(nn.Module):
    """A fully connected layer over positions for each channel (Pathak et al. 2016, section 3.2): [B, h, w, C] -> same.

    It has C·(hw)² weights, where one layer over everything would have C² · (hw)².
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
    """Double the resolution by a 4×4 transposed convolution, a normalisation and ReLU, in the running module's scope.

    Args:
        x: a map.
        channels: output channels.
        i: number of the layer; its parameters are "up<i>" and "up<i>_bn".
        norm: normalisation layer.
        dtype: type that is computed in.
        train: normalise by the batch's statistics.

    Returns:
        A map [B, 2h, 2w, channels].
    """
    x = ConvTranspose(channels, 4, 2, 1, use_bias=False, kernel_init=he_normal, dtype=dtype, name=f"up{i}")(x)
    return nn.relu(norm(use_running_average=not train, dtype=dtype, name=f"up{i}_bn")(x))


def doublings(side: int, target: int | float, what: str) -> int:
    """Count the doublings that lead from the side of the encoder's last map to another side.

    Args:
        side: pixels of the last map.
        target: pixels wanted.
        what: name of what has that many pixels, for the error.

    Returns:
        n with side · 2ⁿ = target.

    Raises:
        ValueError: no doubling gives the target.
    """
    count = next((n for n in range(16) if side * 2**n >= target), 0)
    if side * 2**count != target:
        raise ValueError(
            f"--image_size: the encoder's last map of {side} pixels, doubled, never is {what}'s {target:g}; give a "
            "size that the encoder halves without remainder, such as 32, 64 or 128"
        )
    return count
