"""Feature pyramid network (Lin et al. 2017, "Feature pyramid networks for object detection").

Input: the backbone's maps C2 … C5, each [B, h, w, C], of strides 4, 8, 16 and 32.
Output, a dict of
    "p2" … "p5" [B, h, w, channels]                one map for each of C2 … C5, of the same resolution
    "p6" [B, ⌈h/2⌉, ⌈w/2⌉, channels]               every second cell of "p5", of stride 64
"""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.layers import Conv, Dtype
from jaxvision.ops.unpooling import nearest_unpool

uniform = nn.initializers.variance_scaling(1.0, "fan_in", "uniform")


class FPN(nn.Module):
    """Top-down path with lateral connections (section 3), without norm or activation.

    Layers: lateral2 … lateral5 (1×1) and output2 … output5 (3×3). The finest map must be exactly eight times as large
    as the coarsest, as it is for images whose sides divide by 32; ValueError otherwise.

    Example:
        >>> model, maps = FPN(), [jnp.zeros((1, 64 // stride, 64 // stride, 8)) for stride in (4, 8, 16, 32)]
        >>> outputs, _ = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), maps))
        >>> outputs["p3"].shape
        (1, 8, 8, 256)
    """

    channels: int = 256  # of each output
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(self, maps: Sequence[Float[Array, "B _ _ _"]]) -> dict[str, Float[Array, "B _ _ _"]]:
        (height, width), (rows, columns) = maps[0].shape[1:3], maps[-1].shape[1:3]
        if (height, width) != (8 * rows, 8 * columns):
            raise ValueError(f"FPN: a canvas of {4 * height}x{4 * width} pixels; both sides must be multiples of 32")
        top, outputs = None, {}
        for level in range(len(maps) + 1, 1, -1):
            x = self._conv(1, f"lateral{level}")(maps[level - 2])
            top = x if top is None else x + nearest_unpool(top, 2)
            outputs[f"p{level}"] = self._conv(3, f"output{level}")(top)
        outputs["p6"] = outputs["p5"][:, ::2, ::2]
        return dict(sorted(outputs.items()))

    def _conv(self, kernel_size: int, name: str) -> nn.Conv:
        padding = kernel_size // 2
        return Conv(self.channels, kernel_size, padding=padding, kernel_init=uniform, dtype=self.dtype, name=name)
