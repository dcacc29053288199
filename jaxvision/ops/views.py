"""Views of one test image over which a classifier's predictions are averaged. Each view is a batch [B, h, w, C]."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Views = Callable[[Float[Array, "B H W C"]], list[Float[Array, "B h w C"]]]


def whole(images: Float[Array, "B H W C"]) -> list[Float[Array, "B H W C"]]:
    """Return the image itself as the only view."""
    return [images]


def ten_crops(size: int) -> Views:
    """Return a function that crops corners and centre, each also mirrored (Krizhevsky et al. 2012, section 4.1)."""

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
    """Return a function that gives the whole square image at several sizes, each with its mirror image.

    The network must take any size (Simonyan & Zisserman 2015, section 3.2; He et al. 2016, section 3.4). Images are
    resized with antialiasing.
    """

    def views(images: Float[Array, "B H W C"]) -> list[Float[Array, "B h w C"]]:
        batch, _, _, channels = images.shape
        scaled = [jax.image.resize(images, (batch, size, size, channels), "bilinear", antialias=True) for size in sizes]
        return scaled + [s[:, :, ::-1] for s in scaled]

    return views


def mean_probabilities(logits: Sequence[Float[Array, "B K"]]) -> Float[Array, "B K"]:
    """Return the mean of the views' softmax."""
    return jnp.mean(jnp.stack([jax.nn.softmax(x.astype(jnp.float32)) for x in logits]), axis=0)
