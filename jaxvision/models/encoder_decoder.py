"""One small encoder–decoder whose unpooling is an argument, so that ways back to full resolution can be compared."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32

from jaxvision.models.layers import BatchNorm, Conv, ConvTranspose, Dtype, Layer, he_normal, scaled, to_multiple
from jaxvision.ops.unpooling import bed_of_nails, max_pool_with_indices, max_unpool, nearest_unpool
from jaxvision.ops.upsampling import bilinear_init, resize_bilinear

UNPOOLING = ("nearest", "bed_of_nails", "max_unpool", "transposed", "bilinear")
_LEVELS = 3
_CHANNELS = 32  # at the first resolution


class EncoderDecoder(nn.Module):
    """[B, H, W, 3] -> "logits" [B, H, W, K], and each unpooling's maps before and after, "pooled3", "unpooled3" ….

    Two 3×3 convolutions with batch norm at each of four resolutions down, the same up, and no connection across but
    what `unpooling` remembers: "nearest" and "bed_of_nails" (the value, or the value among zeros), "max_unpool" (at the
    place its maximum came from), "transposed" (a learned 4×4 kernel that begins as bilinear) or "bilinear".
    """

    num_classes: int = 11
    unpooling: str = "max_unpool"
    width: float = 1.0
    norm: Layer = BatchNorm
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], *, train: bool) -> dict[str, Float[Array, "..."]]:
        if self.unpooling not in UNPOOLING:
            raise ValueError(f"EncoderDecoder unpooling {self.unpooling!r}: choose one of {', '.join(UNPOOLING)}")
        size = x.shape[1:3]
        x = to_multiple(x, 2**_LEVELS)
        features: dict[str, Array] = {}
        indices = {}
        for level in range(1, _LEVELS + 1):
            x = self._double(x, level, level, "down", train)
            x, indices[level] = max_pool_with_indices(x, 2, 2)
        x = self._double(x, _LEVELS + 1, _LEVELS, "middle", train)
        for level in reversed(range(1, _LEVELS + 1)):
            features[f"pooled{level}"] = x
            x = features[f"unpooled{level}"] = self._unpool(x, indices[level], level)
            x = self._double(x, level, max(level - 1, 1), "up", train)
        logits = Conv(self.num_classes, 1, dtype=self.dtype, name="score")(x)
        return {**features, "logits": logits[:, : size[0], : size[1]]}

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

    def _double(
        self, x: Float[Array, "B H W C"], level: int, out: int, way: str, train: bool
    ) -> Float[Array, "B H W D"]:
        for i, channels in enumerate((level, out), start=1):
            name = f"{way}{level}_{{}}{i}"
            channels = scaled(_CHANNELS * 2 ** (channels - 1), self.width)
            x = Conv(channels, 3, padding=1, kernel_init=he_normal, dtype=self.dtype, name=name.format("conv"))(x)
            x = nn.relu(self.norm(use_running_average=not train, dtype=self.dtype, name=name.format("bn"))(x))
        return x
