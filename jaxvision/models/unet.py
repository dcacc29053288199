"""U-Net (Ronneberger, Fischer & Brox 2015, "U-Net: convolutional networks for biomedical image segmentation").

Input: images [B, H, W, C], float, normalised; of any size, or with `valid` of one that halves evenly.
Output, a dict of
    "logits" [B, H, W, K]                          class scores of every pixel; with `valid` of the middle ones only
    "down1" … "down5"                              maps of the contracting path, behind both convolutions of a level
    "up4" … "up1"                                  maps of the expanding path (figure 1)
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.layers import Conv, ConvTranspose, Dtype, Layer, scaled, to_multiple
from jaxvision.ops.pooling import max_pool

_he = nn.initializers.he_normal()
# He's rule for a 2×2 up-convolution of stride 2: only one of its four taps reaches a pixel, so the fan-in is a quarter.
_he_up = nn.initializers.variance_scaling(8.0, "fan_in", "normal")


class UNet(nn.Module):
    """Two 3×3 convolutions at each resolution, down and up again, with a skip connection across each resolution.

    `valid=True` is the paper: convolutions without padding, skip connections cropped, and logits smaller than the
    image, 388 of 572 pixels. A side must halve evenly four times (…, 188, 204, …, 572); ValueError otherwise.
    `valid=False` pads, so that an image of any size has logits for all of its pixels. Dropout is at the end of the
    contracting path.

    Example:
        >>> model, images = UNet(), jnp.zeros((1, 32, 32, 1))
        >>> outputs, _ = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), images, train=False))
        >>> outputs["logits"].shape
        (1, 32, 32, 2)
    """

    num_classes: int = 2  # K
    valid: bool = False  # no padding, as published
    levels: int = 5  # resolutions
    width: float = 1.0  # fraction of the channels: 64 at the first resolution, twice as many at each next
    dropout: float = 0.5  # share that training drops
    norm: Layer | None = None  # normalisation behind each convolution; the paper has none
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], *, train: bool) -> dict[str, Float[Array, "..."]]:
        height, width = x.shape[1:3]
        x = self._to_working_size(x)
        features: dict[str, Array] = {}
        for level in range(1, self.levels + 1):
            x = features[f"down{level}"] = self._two_layers(x, f"down{level}", level, train)
            if level >= self.levels - 1:  # the last two maps, as in the released code
                x = features[f"down{level}"] = nn.Dropout(self.dropout, deterministic=not train)(x)
            if level < self.levels:
                x = max_pool(x, 2, 2)
        for level in reversed(range(1, self.levels)):
            channels = scaled(64 * 2 ** (level - 1), self.width)
            x = ConvTranspose(channels, 2, 2, kernel_init=_he_up, dtype=self.dtype, name=f"upconv{level}")(x)
            x = jnp.concatenate([_center(features[f"down{level}"], x.shape[1:3]), x], -1)
            x = features[f"up{level}"] = self._two_layers(x, f"up{level}", level, train)
        logits = Conv(self.num_classes, 1, kernel_init=_he, dtype=self.dtype, name="score")(x)
        features["logits"] = logits if self.valid else logits[:, :height, :width]
        return features

    def _to_working_size(self, x: Float[Array, "B H W C"]) -> Float[Array, "B h w C"]:
        if not self.valid:
            return to_multiple(x, 2 ** (self.levels - 1))
        for n in x.shape[1:3]:
            if logits_side(n, self.levels) is None:
                near = [m for m in range(max(n - 40, 1), n + 200) if logits_side(m, self.levels) is not None]
                shown = ", ".join(map(str, sorted(sorted(near, key=lambda m: abs(m - n))[:3])))
                raise ValueError(f"UNet without padding: a side of {n} pixels does not halve evenly; choose {shown}")
        return x

    def _two_layers(self, x: Float[Array, "B H W C"], name: str, level: int, train: bool) -> Float[Array, "B h w D"]:
        for i in (1, 2):
            x = Conv(
                scaled(64 * 2 ** (level - 1), self.width),
                3,
                padding=0 if self.valid else 1,
                kernel_init=_he,
                dtype=self.dtype,
                name=f"{name}_conv{i}",
            )(x)
            if self.norm is not None:
                x = self.norm(use_running_average=not train, dtype=self.dtype, name=f"{name}_bn{i}")(x)
            x = nn.relu(x)
        return x


def _center(x: Float[Array, "B H W C"], size: tuple[int, ...]) -> Float[Array, "B h w C"]:
    top, left = ((side - inner) // 2 for side, inner in zip(x.shape[1:3], size, strict=True))
    return x[:, top : top + size[0], left : left + size[1]]


def logits_side(side: int, levels: int) -> int | None:
    """Return the side of the logits in a network without padding; None where the image's side does not halve evenly.

    With 5 levels it is 388 for an image of 572 pixels (figure 1).
    """
    for _ in range(levels - 1):
        side -= 4
        if side < 2 or side % 2:
            return None
        side //= 2
    side -= 4
    for _ in range(levels - 1):
        side = 2 * side - 4
    return side if side > 0 else None
