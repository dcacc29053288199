"""Segmentation before it was convolutional: a network names the middle of a patch; a window slides."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.layers import BatchNorm, Conv, Dtype, Layer, he_normal, scaled
from jaxvision.ops.pooling import max_pool
from jaxvision.ops.upsampling import resize_bilinear

PATCH = 36  # pixels
STRIDE = 4  # pixels: of the network, so of the window where sliding and convolving give the same


class PatchClassifier(nn.Module):
    """A patch [B, 36, 36, 3] -> "logits" [B, K] of the 4×4 pixels in its middle; no layer is padded.

    With `dense` the same parameters run over a whole image [B, H, W, 3], its border continued with zeros, and give
    "class_map" [B, ⌈H/4⌉, ⌈W/4⌉, K], what a window of stride 4 gives patch by patch, at a fraction of the cost (Long et
    al. 2015, section 3.1), and "logits" [B, H, W, K], interpolated from it.
    """

    num_classes: int = 11
    dense: bool = False
    width: float = 1.0
    norm: Layer = BatchNorm
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], *, train: bool) -> dict[str, Float[Array, "..."]]:
        size = (x.shape[1], x.shape[2])
        if not self.dense and size != (PATCH, PATCH):
            raise ValueError(f"PatchClassifier got {size[0]}x{size[1]} patches: give {PATCH}x{PATCH}, or dense=True")
        x = bordered(x) if self.dense else x
        for block, channels in enumerate((32, 64), start=1):
            for i in (1, 2):
                x = self._layer(x, channels, 3, f"{block}_{i}", train)
            x = max_pool(x, 2, 2)
        x = self._layer(x, 256, 6, "3", train)
        scores = Conv(self.num_classes, 1, dtype=self.dtype, name="score")(x)
        if not self.dense:
            return {"logits": scores[:, 0, 0]}
        cells = (scores.shape[1] * STRIDE, scores.shape[2] * STRIDE)
        return {"class_map": scores, "logits": resize_bilinear(scores, cells)[:, : size[0], : size[1]]}

    def _layer(
        self, x: Float[Array, "B H W C"], channels: int, kernel_size: int, name: str, train: bool
    ) -> Float[Array, "B h w D"]:
        x = Conv(
            scaled(channels, self.width), kernel_size, kernel_init=he_normal, dtype=self.dtype, name=f"conv{name}"
        )(x)
        return nn.relu(self.norm(use_running_average=not train, dtype=self.dtype, name=f"bn{name}")(x))


def bordered(x: Float[Array, "B H W C"]) -> Float[Array, "B h w C"]:
    """Zeros around an image, so that every 4×4 cell of it is the middle of a patch."""
    near = (PATCH - STRIDE) // 2
    return jnp.pad(x, ((0, 0), *((near, near + -n % STRIDE) for n in x.shape[1:3]), (0, 0)))


def patches(x: Float[Array, "B H W C"]) -> Float[Array, "B N 36 36 C"]:
    """Every patch under the sliding window, in rows: what the dense network sees of each cell."""
    x = bordered(x)
    down, across = ((n - PATCH) // STRIDE + 1 for n in x.shape[1:3])
    corners = [(i * STRIDE, j * STRIDE) for i in range(down) for j in range(across)]
    return jnp.stack([x[:, i : i + PATCH, j : j + PATCH] for i, j in corners], axis=1)
