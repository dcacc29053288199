"""The views of one test image whose predictions a classifier averages. Each view is a batch [B, h, w, C]."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Views = Callable[[Float[Array, "B H W C"]], list[Float[Array, "B h w C"]]]


def whole(images: Float[Array, "B H W C"]) -> list[Float[Array, "B H W C"]]:
    """The image itself."""
    return [images]


def ten_crops(size: int) -> Views:
    """Four corners and the centre, and their mirror images (Krizhevsky et al. 2012, section 4.1)."""

    def views(images: Float[Array, "B H W C"]) -> list[Float[Array, "B h w C"]]:
        _, height, width, _ = images.shape
        if min(height, width) < size:
            raise ValueError(f"ten crops of {size} px need larger images than {height}×{width} px")
        bottom, right = height - size, width - size
        corners = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
        crops = [images[:, y : y + size, x : x + size] for y, x in corners]
        return crops + [c[:, :, ::-1] for c in crops]

    return views


def multi_scale(sizes: Sequence[int]) -> Views:
    """The whole square image at several sizes, each with its mirror image, for a network that takes any size
    (Simonyan & Zisserman 2015, section 3.2; He et al. 2016, section 3.4). Resized with antialiasing.
    """

    def views(images: Float[Array, "B H W C"]) -> list[Float[Array, "B h w C"]]:
        batch, _, _, channels = images.shape
        scaled = [jax.image.resize(images, (batch, size, size, channels), "bilinear", antialias=True) for size in sizes]
        return scaled + [s[:, :, ::-1] for s in scaled]

    return views


def mean_probabilities(logits: Sequence[Float[Array, "B K"]]) -> Float[Array, "B K"]:
    """The softmax of each view, averaged."""
    return jnp.mean(jnp.stack([jax.nn.softmax(x.astype(jnp.float32)) for x in logits]), axis=0)
