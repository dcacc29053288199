"""Ways to segment a test image: at once, window by window, or at several scales.

A `Look` takes a network, as a function from normalised images to logits, and the images; it gives the probability of
each class at each pixel.
"""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

Classify = Callable[[Float[Array, "B h w C"]], Float[Array, "B i j K"]]
Look = Callable[[Classify, Float[Array, "B H W C"]], Float[Array, "B H W K"]]


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
