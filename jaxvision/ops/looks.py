"""Ways to segment a test image: at once, window by window, at several scales, or proposal by proposal.

A `Look` takes a network, as a function from normalised images to logits, and the images; it gives the probability of
each class at each pixel.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

Classify = Callable[[Float[Array, "B h w C"]], Float[Array, "B i j K"]]
Look = Callable[..., Float[Array, "B H W K"]]
"""(classify, images) -> probabilities; that of `proposals` also takes the boxes of each image."""


def whole(classify: Classify, images: Float[Array, "B H W C"]) -> Float[Array, "B i j K"]:
    """Segment the image at once."""
    return jax.nn.softmax(classify(images).astype(jnp.float32))


def sliding(window: tuple[int, int], stride: tuple[int, int]) -> Look:
    """Return the look that averages the probabilities of overlapping windows.

    The last window of a row or column ends at the border. Where a network's map is smaller than its input, as without
    padding, and where the image is smaller than a window, the image is mirrored at its borders: the overlap-tile
    strategy (Ronneberger et al. 2015, figure 2). The look raises ValueError for strides that leave pixels out.

    Args:
        window: height and width of a window, in pixels.
        stride: pixels between windows, down and across.

    Returns:
        The look.
    """

    def look(classify: Classify, images: Float[Array, "B H W C"]) -> Float[Array, "B H W K"]:
        batch, *size, channels = images.shape
        probabilities = lambda crop: whole(classify, crop)  # noqa: E731
        seen = jax.eval_shape(probabilities, jax.ShapeDtypeStruct((batch, *window, channels), images.dtype)).shape
        if not all(1 <= step <= have for step, have in zip(stride, seen[1:3], strict=True)):
            raise ValueError(f"sliding: a stride of {stride} with maps of {seen[1:3]}; take 1 to the map's size")
        extent = [max(n, have) for n, have in zip(size, seen[1:3], strict=True)]
        images = _mirror(images, extent, [w - have for w, have in zip(window, seen[1:3], strict=True)])
        starts = _starts(extent, seen[1:3], stride)

        def add(total: Float[Array, "B h w K"], at: Int[Array, " 4"]) -> tuple[Float[Array, "B h w K"], None]:
            window_probabilities = probabilities(lax.dynamic_slice(images, at, (batch, *window, channels)))
            return lax.dynamic_update_slice(total, lax.dynamic_slice(total, at, seen) + window_probabilities, at), None

        total, _ = lax.scan(
            add, jnp.zeros((batch, *extent, seen[3])), jnp.asarray(starts)
        )  # one window at a time, compiled once
        times = _times(starts, extent, seen[1:3])
        return (total / times[None, :, :, None])[:, : size[0], : size[1]]

    return look


def multi_scale(scales: Sequence[float], *, flip: bool = True, multiple: int = 1, look: Look = whole) -> Look:
    """Return the look that averages the probabilities at several scales, each resized to the image's size.

    Images are resized bilinearly, antialiased where they shrink.

    Args:
        scales: factors of the image's size.
        flip: whether each scale is also seen mirrored left to right.
        multiple: sides are rounded to a multiple of this many pixels, as the network needs.
        look: how the image is segmented at each scale.

    Returns:
        The look.
    """

    def one(classify: Classify, images: Float[Array, "B H W C"], scale: float) -> Float[Array, "B H W K"]:
        size = tuple(max(round(n * scale / multiple), 1) * multiple for n in images.shape[1:3])
        scaled = _resize(images, size)
        probabilities = look(classify, scaled)
        if flip:
            probabilities = (probabilities + look(classify, scaled[:, :, ::-1])[:, :, ::-1]) / 2
        return _resize(probabilities, images.shape[1:3])

    def mean(classify: Classify, images: Float[Array, "B H W C"]) -> Float[Array, "B H W K"]:
        return sum((one(classify, images, scale) for scale in scales), jnp.zeros(())) / len(scales)

    return mean


def proposals(size: int) -> Look:
    """Return the look that segments boxes one by one and keeps the highest score of each class at each pixel.

    Each box is stretched to a square of `size` pixels, and its scores back to its place. Outside of all boxes every
    class scores 0. The softmax is of what is kept (Noh et al. 2015, section 4.3, equations 1 and 3).

    Args:
        size: side of the network's input in pixels.

    Returns:
        The look, which also takes boxes [B, P, 4] in pixels, (x0, y0, x1, y1), and valid [B, P], False for padding.
    """

    def look(
        classify: Classify, images: Float[Array, "B H W C"], *, boxes: Float[Array, "B P 4"], valid: Bool[Array, "B P"]
    ) -> Float[Array, "B H W K"]:
        batch, height, width, channels = images.shape
        square = jax.ShapeDtypeStruct((batch, size, size, channels), images.dtype)
        classes = jax.eval_shape(classify, square).shape[-1]

        def add(
            best: Float[Array, "B H W K"], one: tuple[Float[Array, "B 4"], Bool[Array, " B"]]
        ) -> tuple[Float[Array, "B H W K"], None]:
            box, real = one
            scores = classify(jax.vmap(partial(_cut, size=size))(images, box)).astype(jnp.float32)
            placed, inside = jax.vmap(partial(_put_back, size=(height, width)))(scores, box)
            return jnp.where(inside & real[:, None, None, None], jnp.maximum(best, placed), best), None

        kept, _ = lax.scan(add, jnp.zeros((batch, height, width, classes)), (boxes.swapaxes(0, 1), valid.T))
        return jax.nn.softmax(kept)

    return look


def _cut(image: Float[Array, "H W C"], box: Float[Array, "4"], *, size: int) -> Float[Array, "S S C"]:
    """Stretch the part of an image in a box to a square; it is 0 outside the image."""
    scale = size / jnp.maximum(box[2:] - box[:2], 1.0)[::-1]
    shift = -box[:2][::-1] * scale
    return jax.image.scale_and_translate(image, (size, size, image.shape[2]), (0, 1), scale, shift, "linear")


def _put_back(
    scores: Float[Array, "S S K"], box: Float[Array, "4"], *, size: tuple[int, int]
) -> tuple[Float[Array, "H W K"], Bool[Array, "H W 1"]]:
    """Stretch a square's scores to its box in an image of `size`; also say which pixels' centres are in the box."""
    scale = jnp.maximum(box[2:] - box[:2], 1.0)[::-1] / scores.shape[0]
    placed = jax.image.scale_and_translate(scores, (*size, scores.shape[2]), (0, 1), scale, box[:2][::-1], "linear")
    y, x = (jnp.arange(side) + 0.5 for side in size)
    rows, columns = (y >= box[1]) & (y < box[3]), (x >= box[0]) & (x < box[2])
    return placed, (rows[:, None] & columns[None, :])[:, :, None]


def _resize(maps: Float[Array, "B H W C"], size: tuple[int, ...]) -> Float[Array, "B h w C"]:
    return jax.image.resize(maps, (maps.shape[0], *size, maps.shape[3]), "bilinear", antialias=True)


def _mirror(images: Float[Array, "B H W C"], extent: Sequence[int], lost: Sequence[int]) -> Float[Array, "B h w C"]:
    """Return images mirrored at their borders, so that a map that loses `lost` pixels an axis covers `extent`."""
    sides = [(n // 2, more - have + n - n // 2) for n, more, have in zip(lost, extent, images.shape[1:3], strict=True)]
    return jnp.pad(images, ((0, 0), *sides, (0, 0)), mode="reflect")


def _starts(extent: Sequence[int], seen: Sequence[int], stride: Sequence[int]) -> Int[np.ndarray, "N 4"]:
    """Return the first pixel of every window in a batch of images: (0, row, column, 0)."""
    rows, columns = (
        [min(i * step, n - have) for i in range(math.ceil((n - have) / step) + 1)]
        for n, have, step in zip(extent, seen, stride, strict=True)
    )
    return np.array([(0, y, x, 0) for y in rows for x in columns], np.int32)


def _times(starts: Int[np.ndarray, "N 4"], extent: Sequence[int], seen: Sequence[int]) -> Float[Array, "H W"]:
    """Return how many windows cover each pixel."""
    times = np.zeros(extent, np.float32)
    for _, y, x, _ in starts.tolist():
        times[y : y + seen[0], x : x + seen[1]] += 1
    return jnp.asarray(times)
