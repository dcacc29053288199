"""U-Net (Ronneberger, Fischer & Brox 2015, "U-Net: convolutional networks for biomedical image segmentation")."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.layers import Conv, ConvTranspose, Dtype, Layer, scaled, to_multiple
from jaxvision.ops.pooling import max_pool

_he = nn.initializers.he_normal()
# He's rule for a 2×2 up-convolution of stride 2: one of the four taps reaches a pixel, which initializers cannot know.
_he_up = nn.initializers.variance_scaling(8.0, "fan_in", "normal")


class UNet(nn.Module):
    """[B, H, W, C] -> "logits", and the maps "down1" … of the way down and "up1" … of the way up (figure 1).

    `valid=True` is the paper: convolutions without padding, encoder maps cropped to the decoder's, and logits that are
    smaller than the image, 388 of 572 pixels; a side must be one that halves evenly four times (…, 188, 204, …, 572).
    `valid=False` pads every convolution, and the logits are those of every pixel of an image of any size. `levels`
    counts resolutions, 64 channels at the first and twice as many at each next. Dropout stands at the end of the way
    down. The paper has no norm; `norm` puts one behind each convolution.
    """

    num_classes: int = 2
    valid: bool = False
    levels: int = 5
    width: float = 1.0
    dropout: float = 0.5
    norm: Layer | None = None
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], *, train: bool) -> dict[str, Float[Array, "..."]]:
        size = x.shape[1:3]
        x = self._fitted(x)
        features: dict[str, Array] = {}
        for level in range(1, self.levels + 1):
            x = features[f"down{level}"] = self._double(x, level, "down", train)
            if level >= self.levels - 1:  # the last two maps, as released
                x = features[f"down{level}"] = nn.Dropout(self.dropout, deterministic=not train)(x)
            if level < self.levels:
                x = max_pool(x, 2, 2)
        for level in reversed(range(1, self.levels)):
            channels = scaled(64 * 2 ** (level - 1), self.width)
            x = ConvTranspose(channels, 2, 2, kernel_init=_he_up, dtype=self.dtype, name=f"upconv{level}")(x)
            skip = features[f"down{level}"]
            top, left = ((have - want) // 2 for have, want in zip(skip.shape[1:3], x.shape[1:3], strict=True))
            skip = skip[:, top : top + x.shape[1], left : left + x.shape[2]]
            x = features[f"up{level}"] = self._double(jnp.concatenate([skip, x], -1), level, "up", train)
        logits = Conv(self.num_classes, 1, kernel_init=_he, dtype=self.dtype, name="score")(x)
        features["logits"] = logits if self.valid else logits[:, : size[0], : size[1]]
        return features

    def _fitted(self, x: Float[Array, "B H W C"]) -> Float[Array, "B h w C"]:
        if not self.valid:
            return to_multiple(x, 2 ** (self.levels - 1))
        for n in x.shape[1:3]:
            if _smaller(n, self.levels) is None:
                near = [m for m in range(max(n - 40, 1), n + 200) if _smaller(m, self.levels) is not None]
                shown = ", ".join(map(str, sorted(sorted(near, key=lambda m: abs(m - n))[:3])))
                raise ValueError(f"UNet without padding: a side of {n} pixels does not halve evenly; choose {shown}")
        return x

    def _double(self, x: Float[Array, "B H W C"], level: int, way: str, train: bool) -> Float[Array, "B h w D"]:
        for i in (1, 2):
            x = Conv(
                scaled(64 * 2 ** (level - 1), self.width),
                3,
                padding=0 if self.valid else 1,
                kernel_init=_he,
                dtype=self.dtype,
                name=f"{way}{level}_conv{i}",
            )(x)
            if self.norm is not None:
                x = self.norm(use_running_average=not train, dtype=self.dtype, name=f"{way}{level}_bn{i}")(x)
            x = nn.relu(x)
        return x


def _smaller(side: int, levels: int) -> int | None:
    """The side of the logits of a network without padding; None where it does not come out even."""
    for _ in range(levels - 1):
        side -= 4
        if side < 2 or side % 2:
            return None
        side //= 2
    side -= 4
    for _ in range(levels - 1):
        side = 2 * side - 4
    return side if side > 0 else None
