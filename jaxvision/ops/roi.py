"""Features of regions of interest by interpolation: RoIAlign, also over the levels of a pyramid, and RoIWarp.

RoIs are boxes in pixels of the network's canvas; `spatial_scale` is the map's resolution, 1/16 for a stride of 16.
`N` is batch times RoIs, `P` the output's rows, `Q` its columns, and `K` the taps of one of them: the map rows (columns)
that its samples interpolate between.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxvision.ops.dispatch import dispatch
from jaxvision.ops.roi_adaptive import adaptive_align


class Taps(NamedTuple):
    """The positions that each bin of one axis reads, and their weights: a mean of bilinear samples is separable."""

    position: Int[Array, "N P K"]  # row or column of the map; rows are already entries of the table
    weight: Float[Array, "N P K"]  # of each position in the bin


def roi_align(
    features: Float[Array, "B H W C"],
    rois: Float[Array, "B R 4"],
    output_size: tuple[int, int],
    *,
    spatial_scale: float,
    sampling_ratio: int = 2,
    aligned: bool = True,
) -> Float[Array, "B R P Q C"]:
    """Return the mean of bilinear samples in each bin, with nothing quantised (He et al. 2017, section 3).

    Samples more than one cell outside the map, and RoIs that are not finite, give 0. The result is differentiable in
    features and RoIs; approximate joint training stops the gradient in RoIs.

    Args:
        features: the maps.
        rois: corners in pixels of the canvas.
        output_size: rows and columns of bins.
        spatial_scale: cells a pixel, 1/16 for a map of stride 16.
        sampling_ratio: samples along each axis of a bin; 0: as many as the bin has cells, rounded up, for each RoI.
        aligned: whether sample coordinates are at pixel centres. Without it they lie half a pixel off and RoIs are at
            least one cell large, as torchvision's detection weights were trained.

    Returns:
        The features of each RoI.

    Example:
        >>> features, rois = jnp.ones((1, 8, 8, 3)), jnp.array([[[0.0, 0.0, 16.0, 16.0]]])
        >>> roi_align(features, rois, (2, 2), spatial_scale=0.25).shape
        (1, 1, 2, 2, 3)
    """
    return _align(features, rois * spatial_scale, output_size, sampling_ratio, aligned, None)


def multilevel_roi_align(
    features: Sequence[Float[Array, "B _ _ C"]],
    rois: Float[Array, "B R 4"],
    output_size: tuple[int, int],
    *,
    spatial_scales: Sequence[float],
    sampling_ratio: int = 2,
    aligned: bool = True,
) -> Float[Array, "B R P Q C"]:
    """Return RoIAlign of each RoI on the one pyramid level that `assign_levels` gives it.

    Args:
        features: the maps, from fine to coarse.
        rois: corners in pixels of the canvas.
        output_size: rows and columns of bins.
        spatial_scales: cells a pixel, for each map.
        sampling_ratio: samples along each axis of a bin; 0: see `roi_align`.
        aligned: as for `roi_align`.

    Returns:
        The features of each RoI.

    Raises:
        ValueError: the numbers of maps and scales differ.

    Example:
        >>> pyramid, rois = [jnp.ones((1, 16, 16, 3)), jnp.ones((1, 8, 8, 3))], jnp.array([[[0.0, 0.0, 16.0, 16.0]]])
        >>> multilevel_roi_align(pyramid, rois, (2, 2), spatial_scales=(1 / 4, 1 / 8)).shape
        (1, 1, 2, 2, 3)
    """
    if len(features) != len(spatial_scales):
        raise ValueError(f"roi_align: {len(features)} feature maps but {len(spatial_scales)} spatial_scales")
    finest = round(-math.log2(spatial_scales[0]))
    level = assign_levels(rois, finest, finest + len(features) - 1) - finest
    # Each level takes all RoIs and passes over those of other levels, which costs a few reads. The usual alternatives,
    # one table of all levels or a sort of the RoIs, copy every map of the pyramid and take three times as long.
    outputs = [
        _align(level_features, rois * scale, output_size, sampling_ratio, aligned, level == index)
        for index, (level_features, scale) in enumerate(zip(features, spatial_scales, strict=True))
    ]
    return sum(outputs[1:], start=outputs[0])


def assign_levels(rois: Float[Array, "*b 4"], finest: int, coarsest: int) -> Int[Array, "*b"]:
    """Return pyramid levels: `floor(4 + log2(sqrt(w h) / 224))` within the limits (Lin et al. 2017, equation 1).

    Args:
        rois: corners in pixels.
        finest: the lowest level, 2 for a map of stride 4.
        coarsest: the highest level.

    Returns:
        The level of each RoI.
    """
    width, height = rois[..., 2] - rois[..., 0], rois[..., 3] - rois[..., 1]
    size = jnp.sqrt(jnp.maximum(width * height, 1e-6).astype(jnp.float32))
    # Sizes are powers of two times 224 often enough that rounding of the logarithm would decide; torchvision's margin.
    level = jnp.floor(4 + jnp.log2(size / 224) + 1e-6)
    return jnp.clip(jnp.nan_to_num(level), finest, coarsest).astype(jnp.int32)


def roi_warp(
    features: Float[Array, "B H W C"],
    rois: Float[Array, "B R 4"],
    output_size: tuple[int, int],
    *,
    spatial_scale: float,
    sampling_ratio: int = 2,
) -> Float[Array, "B R P Q C"]:
    """Return bilinear samples of the RoI that RoIPool takes: its corners are rounded to cells, its bins are not.

    This is RoIWarp (Dai et al. 2016), the middle of the ablation of He et al. (2017, table 2c). No gradient reaches the
    RoIs.

    Args:
        features: the maps.
        rois: corners in pixels of the canvas.
        output_size: rows and columns of bins.
        spatial_scale: cells a pixel, 1/16 for a map of stride 16.
        sampling_ratio: samples along each axis of a bin; 0: see `roi_align`.

    Returns:
        The features of each RoI.

    Example:
        >>> features, rois = jnp.ones((1, 8, 8, 3)), jnp.array([[[0.0, 0.0, 16.0, 16.0]]])
        >>> roi_warp(features, rois, (2, 2), spatial_scale=0.25).shape
        (1, 1, 2, 2, 3)
    """
    first, last = quantise(rois, spatial_scale)
    cells = jnp.concatenate([first, jnp.maximum(last, first) + 1], axis=-1).astype(jnp.float32)
    return _align(features, cells, output_size, sampling_ratio, True, None)


def _align(
    features: Float[Array, "B H W C"],
    cells: Float[Array, "B R 4"],
    output_size: tuple[int, int],
    samples: int,
    aligned: bool,
    taken: Bool[Array, "B R"] | None,
) -> Float[Array, "B R P Q C"]:
    """Compute RoIAlign of RoIs in units of cells; those not `taken` are 0 and cost next to nothing.

    ValueError: fewer than 0 samples.
    """
    if samples < 0:
        raise ValueError(f"roi_align: sampling_ratio={samples}; give a number of samples, or 0 for as many as cells")
    batch, height, width, channels = features.shape
    cells = cells.astype(jnp.float32).reshape(-1, 4)
    start, side = cells[:, :2], cells[:, 2:] - cells[:, :2]
    start, side = (start - 0.5, side) if aligned else (start, jnp.maximum(side, 1))
    known = jnp.isfinite(cells).all(axis=-1)
    known = known if taken is None else known & taken.reshape(-1)
    if samples == 0:
        pooled = adaptive_align(features, start, side, known, output_size)
        return pooled.reshape(batch, -1, *output_size, channels)
    take = jax.vmap(_axis_taps, in_axes=(0, 0, 0, None, None, None))
    rows = take(start[:, 1], side[:, 1], known, output_size[0], samples, height)
    columns = take(start[:, 0], side[:, 0], known, output_size[1], samples, width)
    image = jnp.where(known, jnp.arange(known.shape[0]) // (known.shape[0] // batch), 0)
    rows = Taps((rows.position + (image * height)[:, None, None]) * width, rows.weight)
    sampled = _sample(features.reshape(-1, channels), rows, columns)
    # All weights of the others are 0 already; the selection lets the compiled loop skip their reads altogether.
    sampled = jnp.where(known[:, None, None, None], sampled, 0)
    return sampled.reshape(batch, -1, *output_size, channels)


def _axis_taps(
    start: Float[Array, ""], side: Float[Array, ""], known: Bool[Array, ""], bins: int, samples: int, length: int
) -> Taps:
    """Return where the samples of each bin fall along one axis of a map of `length` cells, for one RoI."""
    within = (jnp.arange(samples, dtype=jnp.float32) + 0.5) / samples
    at = start + (jnp.arange(bins, dtype=jnp.float32)[:, None] + within[None, :]) * (side / bins)
    on_map = known & (at >= -1) & (at <= length)
    at = jnp.clip(jnp.where(on_map, at, 0), 0, length - 1)
    low = jnp.floor(at)
    share = at - low
    position = jnp.stack([low, jnp.minimum(low + 1, length - 1)], axis=-1).astype(jnp.int32)
    weight = jnp.stack([1 - share, share], axis=-1) * (on_map / samples)[..., None]
    return Taps(position.reshape(bins, -1), weight.reshape(bins, -1))


def _weighted_sum(table: Float[Array, "T C"], rows: Taps, columns: Taps) -> Float[Array, "N P Q C"]:
    """Return weighted sums of the table's entries at `rows + columns`, for every pair of taps."""
    # One gather of all taps would write them to memory. A sum of small gathers is fused into one loop that reads the
    # map from cache and writes the result once: 4 ms instead of 270 for 512 RoIs, 7×7 bins, 256 channels on two cores.
    total = jnp.zeros((), jnp.float32)
    for row_index, row_weight in _each_tap(rows):
        for column_index, column_weight in _each_tap(columns):
            cell = row_index[:, :, None] + column_index[:, None, :]
            weight = row_weight[:, :, None] * column_weight[:, None, :]
            total += table.at[cell].get(mode="promise_in_bounds").astype(jnp.float32) * weight[..., None]
    return total.astype(table.dtype)


def _each_tap(taps: Taps) -> list[tuple[Int[Array, "N P"], Float[Array, "N P"]]]:
    return [(taps.position[..., tap], taps.weight[..., tap]) for tap in range(taps.position.shape[-1])]


_sample = jax.custom_vjp(_weighted_sum)


def _sample_forward(table: Array, rows: Taps, columns: Taps) -> tuple[Array, tuple[Array, Taps, Taps]]:
    return _sample(table, rows, columns), (table, rows, columns)


def _sample_backward(
    saved: tuple[Array, Taps, Taps], gradient: Float[Array, "N P Q C"]
) -> tuple[Float[Array, "T C"], Taps, Taps]:
    table, rows, columns = saved
    gradient = gradient.astype(jnp.float32)
    empty = jnp.zeros(table.shape, jnp.float32)
    spread = dispatch(empty, rows, columns, gradient, cpu="roi.add_samples", default=add_samples)

    def by_weights(row_weight: Array, column_weight: Array) -> Array:
        return _weighted_sum(table, Taps(rows.position, row_weight), Taps(columns.position, column_weight))

    # Only RoIs that are differentiated use this; otherwise the compiler removes it.
    _, pull = jax.vjp(by_weights, rows.weight, columns.weight)
    row_gradient, column_gradient = pull(gradient.astype(table.dtype))
    none: Any = None  # whole positions have no gradient
    return spread.astype(table.dtype), Taps(none, row_gradient), Taps(none, column_gradient)


_sample.defvjp(_sample_forward, _sample_backward)


def add_samples(
    table: Float[Array, "T C"], rows: Taps, columns: Taps, gradient: Float[Array, "N P Q C"]
) -> Float[Array, "T C"]:
    """Add to each entry of a table the gradients of the samples that read it, times their weights.

    Args:
        table: what is added to.
        rows: the taps of the samples' rows; `rows.position + columns.position` is an entry of the table.
        columns: the taps of the samples' columns.
        gradient: the gradient in each sample.

    Returns:
        The table with the sums.
    """
    cell = rows.position[:, :, None, :, None] + columns.position[:, None, :, None, :]
    weight = rows.weight[:, :, None, :, None] * columns.weight[:, None, :, None, :]
    # A tap without weight points outside the table and is dropped: RoIs of other levels and padding cost no additions.
    cell = jnp.where(weight != 0, cell, table.shape[0])
    terms = gradient[:, :, :, None, None, :] * weight[..., None]
    return table.at[cell.reshape(-1)].add(terms.reshape(-1, table.shape[1]), mode="drop")


def quantise(rois: Float[Array, "B R 4"], spatial_scale: float) -> tuple[Int[Array, "B R 2"], Int[Array, "B R 2"]]:
    """Return each RoI's first and last cell (x, y), both inclusive: corners rounded half away from zero, as in C."""
    corners = jnp.nan_to_num(rois.astype(jnp.float32) * spatial_scale)
    corners = jnp.clip(jnp.sign(corners) * jnp.floor(jnp.abs(corners) + 0.5), -1e6, 1e6).astype(jnp.int32)
    return corners[..., :2], corners[..., 2:]
