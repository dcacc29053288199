"""Feature pyramid network (Lin et al. 2017, "Feature pyramid networks for object detection")."""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.layers import Conv, Dtype

uniform = nn.initializers.variance_scaling(1.0, "fan_in", "uniform")


class FPN(nn.Module):
    """Maps C2 … C5 of strides 4 … 32 -> "p2" … "p6", all of `channels` channels, on the same strides and 64.

    Layers: lateral2 … lateral5 (1×1) and output2 … output5 (3×3), without norm or activation (section 3). P6 is every
    second cell of P5. The finest map must be eight times the coarsest, as on a canvas whose sides divide by 32.
    """

    channels: int = 256
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, maps: Sequence[Float[Array, "B _ _ _"]]) -> dict[str, Float[Array, "B _ _ _"]]:
        (height, width), (rows, columns) = maps[0].shape[1:3], maps[-1].shape[1:3]
        if (height, width) != (8 * rows, 8 * columns):
            raise ValueError(f"FPN: a canvas of {4 * height}x{4 * width} pixels; both sides must be multiples of 32")
        top, outputs = None, {}
        for level in range(len(maps) + 1, 1, -1):
            x = self._conv(1, f"lateral{level}")(maps[level - 2])
            top = x if top is None else x + double(top)
            outputs[f"p{level}"] = self._conv(3, f"output{level}")(top)
        outputs["p6"] = outputs["p5"][:, ::2, ::2]
        return dict(sorted(outputs.items()))

    def _conv(self, kernel_size: int, name: str) -> nn.Conv:
        padding = kernel_size // 2
        return Conv(self.channels, kernel_size, padding=padding, kernel_init=uniform, dtype=self.dtype, name=name)


def double(x: Float[Array, "B H W C"]) -> Float[Array, "B 2*H 2*W C"]:
    """Nearest-neighbour upsampling: each cell becomes 2×2."""
    batch, height, width, channels = x.shape
    spread = jnp.broadcast_to(x[:, :, None, :, None, :], (batch, height, 2, width, 2, channels))
    return spread.reshape(batch, 2 * height, 2 * width, channels)
