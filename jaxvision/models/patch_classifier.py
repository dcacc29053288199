"""A classifier of patches under a sliding window: segmentation before networks were fully convolutional.

Input: patches [B, 36, 36, 3], float, normalised; with `dense` whole images [B, H, W, 3] of any size.
Output, a dict of
    "logits" [B, K]                                class scores of the 4×4 pixels in the middle of a patch
or, with `dense`,
    "class_map" [B, ⌈H/4⌉, ⌈W/4⌉, K]               scores of every 4×4 cell, as a window of stride 4 gives them
    "logits" [B, H, W, K]                          the class map, interpolated to every pixel
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.layers import BatchNorm, Conv, Dtype, Layer, conv_norm_relu, scaled
from jaxvision.ops.interpolation import resize_bilinear
from jaxvision.ops.pooling import max_pool

PATCH = 36  # pixels a side
STRIDE = 4  # pixels between neighbouring windows; the network's own stride, so that sliding and convolving agree


class PatchClassifier(nn.Module):
    """Five convolutions without padding, each with batch norm and ReLU, and a 1×1 convolution to the classes.

    With `dense` the same parameters run over a whole image, its border continued with zeros: the same scores as patch
    by patch, at a fraction of the cost (Long et al. 2015, section 3.1).

    Example:
        >>> model, images = PatchClassifier(), jnp.zeros((1, 36, 36, 3))
        >>> outputs, _ = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), images, train=False))
        >>> outputs["logits"].shape
        (1, 11)
    """

    num_classes: int = 11  # K
    dense: bool = False  # take whole images
    width: float = 1.0  # fraction of the channels 32, 64 and 256
    norm: Layer = BatchNorm  # normalisation behind each convolution
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

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
        names, channels = (f"conv{name}", f"bn{name}"), scaled(channels, self.width)
        return conv_norm_relu(x, channels, kernel_size, names=names, norm=self.norm, train=train, dtype=self.dtype)


def bordered(x: Float[Array, "B H W C"]) -> Float[Array, "B h w C"]:
    """Pad images with zeros, so that every 4×4 cell is the middle of a patch."""
    near = (PATCH - STRIDE) // 2
    return jnp.pad(x, ((0, 0), *((near, near + -n % STRIDE) for n in x.shape[1:3]), (0, 0)))


def patches(x: Float[Array, "B H W C"]) -> Float[Array, "B N 36 36 C"]:
    """Cut out every patch under the sliding window, cell by cell in row order."""
    x = bordered(x)
    down, across = ((n - PATCH) // STRIDE + 1 for n in x.shape[1:3])
    corners = [(i * STRIDE, j * STRIDE) for i in range(down) for j in range(across)]
    return jnp.stack([x[:, i : i + PATCH, j : j + PATCH] for i, j in corners], axis=1)
