"""Views of one test image over which a classifier's predictions are averaged. Each view is a batch [B, h, w, C]."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Views = Callable[[Float[Array, "B H W C"]], list[Float[Array, "B h w C"]]]
Classify = Callable[[Float[Array, "B h w C"]], dict[str, jax.Array]]

_FEW = 10  # views of one size of which all are made before the network sees the first


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


def crops_144(size: int, sizes: Sequence[int] = (256, 288, 320, 352)) -> Views:
    """Return a function that gives the 144 crops of an image (Szegedy et al. 2015, section 7).

    The image's shorter side is resized to four lengths. Of each, the left, middle and right square are taken (top,
    middle and bottom of a portrait), and of each square its corners, its centre and itself resized, all also mirrored.

    Args:
        size: side of a crop in pixels.
        sizes: lengths of the shorter side in pixels, each at least `size`.

    Returns:
        The function.
    """

    def views(images: Float[Array, "B H W C"]) -> list[Float[Array, "B h w C"]]:
        crops = []
        for shorter in sizes:
            scaled = _shorter_side(images, shorter)
            room = [side - shorter for side in scaled.shape[1:3]]
            for share in (0, 1, 2):
                y, x = (more * share // 2 for more in room)
                square = scaled[:, y : y + shorter, x : x + shorter]
                crops += [*ten_crops(size)(square)[:5], _resized(square, (size, size))]
        return crops + [crop[:, :, ::-1] for crop in crops]

    return views


def multi_scale(sizes: Sequence[int]) -> Views:
    """Return a function that gives the whole image at several lengths of its shorter side, each with its mirror image.

    The network must take any size (Simonyan & Zisserman 2015, section 3.2; He et al. 2016, section 3.4). Images are
    resized with antialiasing.
    """

    def views(images: Float[Array, "B H W C"]) -> list[Float[Array, "B h w C"]]:
        scaled = [_shorter_side(images, size) for size in sizes]
        return scaled + [s[:, :, ::-1] for s in scaled]

    return views


def looked_at(classify: Classify, views: Views, images: Float[Array, "B H W C"]) -> dict[str, jax.Array]:
    """Compute the mean of what a network finds over the views of each image.

    Views of one size go through the network one after the other, many of them image by image: it is compiled once, and
    its memory is that of one view of all images, or of all views of one image.

    Args:
        classify: the network, from a view of each image to arrays [B, …] by name, such as probabilities.
        views: gives the views of images.
        images: the images.

    Returns:
        The same arrays, each the mean over the views.
    """
    shapes = [view.shape for view in jax.eval_shape(views, images)]
    if len(shapes) == 1 or len(set(shapes)) > 1:
        return _mean([classify(view) for view in views(images)])
    if len(shapes) <= _FEW:
        found = jax.lax.map(classify, jnp.stack(views(images)))
        return jax.tree.map(lambda each: jnp.mean(each, axis=0), found)

    def one(image: Float[Array, "H W C"]) -> dict[str, jax.Array]:
        return jax.tree.map(lambda each: jnp.mean(each, axis=0), classify(jnp.concatenate(views(image[None]))))

    return jax.lax.map(one, images)


def _mean(found: Sequence[dict[str, jax.Array]]) -> dict[str, jax.Array]:
    return jax.tree.map(lambda *each: jnp.mean(jnp.stack(each), axis=0), *found)


def _shorter_side(images: Float[Array, "B H W C"], length: int) -> Float[Array, "B h w C"]:
    """Resize images so that their shorter side is `length`."""
    shorter = min(images.shape[1:3])
    return _resized(images, tuple(round(side * length / shorter) for side in images.shape[1:3]))


def _resized(images: Float[Array, "B H W C"], size: tuple[int, ...]) -> Float[Array, "B h w C"]:
    batch, _, _, channels = images.shape
    return jax.image.resize(images, (batch, *size, channels), "bilinear", antialias=True)
