"""One small encoder–decoder whose unpooling is an argument, so that ways back to full resolution can be compared.

Input: images [B, H, W, 3], float, normalised, of any size (padded with zeros to a multiple of 8).
Output, a dict of
    "logits" [B, H, W, K]                          class scores of every pixel
    "pooled3", "pooled2", "pooled1" [B, h, w, C]   maps that go into each unpooling
    "unpooled3", … "unpooled1" [B, 2h, 2w, C]      maps that come out of it
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32

from jaxvision.models.layers import BatchNorm, Conv, ConvTranspose, Dtype, Layer, conv_norm_relu, scaled, to_multiple
from jaxvision.ops.interpolation import bilinear_init, resize_bilinear
from jaxvision.ops.unpooling import bed_of_nails, max_pool_with_indices, max_unpool, nearest_unpool

UNPOOLING = ("nearest", "bed_of_nails", "max_unpool", "transposed", "bilinear")
_LEVELS = 3
_CHANNELS = 32  # at the first resolution


class EncoderDecoder(nn.Module):
    """Two 3×3 convolutions with batch norm at each of four resolutions down, and the same up; no skip connections.

    Only the encoder's maxima cross over, and only with "max_unpool".

    Example:
        >>> model, images = EncoderDecoder(), jnp.zeros((1, 32, 32, 3))
        >>> outputs, _ = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), images, train=False))
        >>> outputs["logits"].shape
        (1, 32, 32, 11)
    """

    num_classes: int = 11  # K
    # "nearest" repeats each value over its 2×2 cell, "bed_of_nails" surrounds it by zeros, "max_unpool" puts it where
    # its maximum came from, "transposed" learns a 4×4 kernel that starts as bilinear, "bilinear" interpolates.
    unpooling: str = "max_unpool"
    width: float = 1.0  # fraction of the channels: 32 at the first resolution, twice as many at each next
    norm: Layer = BatchNorm  # normalisation behind each convolution
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], *, train: bool) -> dict[str, Float[Array, "..."]]:
        if self.unpooling not in UNPOOLING:
            raise ValueError(f"EncoderDecoder unpooling {self.unpooling!r}: choose one of {', '.join(UNPOOLING)}")
        height, width = x.shape[1:3]
        x = to_multiple(x, 2**_LEVELS)
        features: dict[str, Array] = {}
        indices = {}
        for level in range(1, _LEVELS + 1):
            x = self._two_layers(x, (level, level), f"down{level}", train)
            x, indices[level] = max_pool_with_indices(x, 2, 2)
        x = self._two_layers(x, (_LEVELS + 1, _LEVELS), f"middle{_LEVELS + 1}", train)
        for level in reversed(range(1, _LEVELS + 1)):
            features[f"pooled{level}"] = x
            x = features[f"unpooled{level}"] = self._unpool(x, indices[level], level)
            x = self._two_layers(x, (level, max(level - 1, 1)), f"up{level}", train)
        logits = Conv(self.num_classes, 1, dtype=self.dtype, name="score")(x)
        return {**features, "logits": logits[:, :height, :width]}

    def _unpool(
        self, x: Float[Array, "B h w C"], indices: Int32[Array, "B h w C"], level: int
    ) -> Float[Array, "B H W C"]:
        size = (2 * x.shape[1], 2 * x.shape[2])
        if self.unpooling == "transposed":
            name = f"transposed{level}"
            return ConvTranspose(x.shape[-1], 4, 2, 1, kernel_init=bilinear_init, dtype=self.dtype, name=name)(x)
        if self.unpooling == "max_unpool":
            return max_unpool(x, indices, size, window=2)
        if self.unpooling == "bilinear":
            return resize_bilinear(x, size)
        return (nearest_unpool if self.unpooling == "nearest" else bed_of_nails)(x, 2)

    def _two_layers(
        self, x: Float[Array, "B H W C"], levels: tuple[int, int], name: str, train: bool
    ) -> Float[Array, "B H W D"]:
        """Two convolutions, each with the channels of its own of the `levels`."""
        for i, level in enumerate(levels, start=1):
            names = (f"{name}_conv{i}", f"{name}_bn{i}")
            channels = scaled(_CHANNELS * 2 ** (level - 1), self.width)
            x = conv_norm_relu(x, channels, 3, padding=1, names=names, norm=self.norm, train=train, dtype=self.dtype)
        return x
