"""RoIAlign whose number of samples follows the size of the RoI, as torchvision's and Detectron's `sampling_ratio=0`.

A bin of s cells has ceil(s) samples along an axis. Their number is no shape here: each axis's mean of bilinear samples
is a small matrix, from all cells of the map to the bins, which is the same size for every RoI.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

_AT_ONCE = 16  # RoIs whose matrices are multiplied together


def adaptive_align(
    features: Float[Array, "B H W C"],
    start: Float[Array, "N 2"],
    side: Float[Array, "N 2"],
    known: Bool[Array, " N"],
    output_size: tuple[int, int],
) -> Float[Array, "N P Q C"]:
    """Return the mean of bilinear samples in each bin, ceil(side / bins) of them along each axis.

    Args:
        features: the maps; N is B times the RoIs of a map, image by image.
        start: (x, y) of each RoI's corner, in cells.
        side: (width, height) of each RoI, in cells; RoIs without area give 0, as torchvision's.
        known: RoIs that count; the others give 0.
        output_size: P rows and Q columns of bins.

    Returns:
        The features of each RoI.
    """
    batch, height, width, channels = features.shape
    matrices = jax.vmap(axis_matrix, in_axes=(0, 0, 0, None, None))
    rows = matrices(start[:, 1], side[:, 1], known, output_size[0], height)
    columns = matrices(start[:, 0], side[:, 0], known, output_size[1], width)

    def one(image: Float[Array, "H W C"], roi: tuple[Array, Array]) -> Float[Array, "P Q C"]:
        across = jnp.einsum("qw,hwc->hqc", roi[1], image, precision=lax.Precision.HIGHEST)
        return jnp.einsum("ph,hqc->pqc", roi[0], across, precision=lax.Precision.HIGHEST).astype(features.dtype)

    # The gradient computes the step between the two products again, which for all RoIs would take gigabytes.
    of_image = jax.checkpoint(lambda image, rois: lax.map(functools.partial(one, image), rois, batch_size=_AT_ONCE))
    each = [m.reshape(batch, -1, *m.shape[1:]) for m in (rows, columns)]
    return jax.vmap(of_image)(features.astype(jnp.float32), (each[0], each[1])).reshape(-1, *output_size, channels)


def axis_matrix(
    start: Float[Array, ""], side: Float[Array, ""], known: Bool[Array, ""], bins: int, length: int
) -> Float[Array, "P L"]:
    """Return the weights of the cells of one axis in each bin of one RoI.

    Args:
        start: where the RoI begins, in cells.
        side: its extent, in cells.
        known: False for weights of 0.
        bins: P.
        length: L, cells of the map along the axis.

    Returns:
        The matrix; a row's sum is the share of the bin's samples that are on the map.
    """
    size = jnp.where(known, side, 0.0) / bins
    count = jnp.ceil(size)
    step = size / jnp.maximum(count, 1.0)
    begin = jnp.where(known, start, 0.0) + jnp.arange(bins, dtype=jnp.float32) * size
    # Samples of a bin that lie before the map are passed over; on the map are at most length + 3, which is the bound of
    # the loop: a step of n samples a bin is longer than (n - 1) / n cells.
    first = jnp.maximum(jnp.floor((-1.0 - begin) / jnp.maximum(step, 1e-6) - 0.5), 0.0)
    cells = jnp.arange(length, dtype=jnp.float32)

    def add(index: Array, weights: Float[Array, "P L"]) -> Float[Array, "P L"]:
        number = first + index
        at = begin + (number + 0.5) * step
        counts = (number < count) & (at >= -1.0) & (at <= length)
        at = jnp.clip(at, 0.0, length - 1.0)
        bilinear = jnp.maximum(1.0 - jnp.abs(at[:, None] - cells[None, :]), 0.0)
        return weights + jnp.where(counts[:, None], bilinear, 0.0)

    total = lax.fori_loop(0, length + 4, add, jnp.zeros((bins, length), jnp.float32))
    return total / jnp.maximum(count, 1.0)
