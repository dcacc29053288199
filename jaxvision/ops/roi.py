"""Features of regions of interest by interpolation: RoIAlign, also over the levels of a pyramid, and RoIWarp.

RoIs are boxes in pixels of the network's canvas; `spatial_scale` is the map's resolution, 1/16 for a stride of 16.
`N` is batch times RoIs, `P` the output's rows and `Q` its columns.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxvision.ops.roi_adaptive import adaptive_align
from jaxvision.ops.roi_samples import Taps, sample


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
    level = jnp.zeros(rois.shape[:2], jnp.int32)
    return _align([features], rois * spatial_scale, level, output_size, sampling_ratio, aligned)


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
    scale = jnp.array(spatial_scales, jnp.float32)[level]
    return _align(features, rois * scale[..., None], level, output_size, sampling_ratio, aligned)


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
    return _align([features], cells, jnp.zeros(rois.shape[:2], jnp.int32), output_size, sampling_ratio, True)


def _align(
    maps: Sequence[Float[Array, "B _ _ C"]],
    cells: Float[Array, "B R 4"],
    level: Int[Array, "B R"],
    output_size: tuple[int, int],
    samples: int,
    aligned: bool,
) -> Float[Array, "B R P Q C"]:
    """Compute RoIAlign of RoIs in units of the cells of their own map, which `level` numbers.

    ValueError: fewer than 0 samples.
    """
    if samples < 0:
        raise ValueError(f"roi_align: sampling_ratio={samples}; give a number of samples, or 0 for as many as cells")
    batch, channels = maps[0].shape[0], maps[0].shape[-1]
    image = jnp.broadcast_to(jnp.arange(batch)[:, None], level.shape).reshape(-1)
    cells = cells.astype(jnp.float32).reshape(-1, 4)
    start, side = cells[:, :2], cells[:, 2:] - cells[:, :2]
    start, side = (start - 0.5, side) if aligned else (start, jnp.maximum(side, 1))
    known = jnp.isfinite(cells).all(axis=-1)
    level = jnp.where(known, level.reshape(-1), -1)
    if samples == 0:
        each = [adaptive_align(one, start, side, level == i, output_size) for i, one in enumerate(maps)]
        return sum(each[1:], start=each[0]).reshape(batch, -1, *output_size, channels)

    def own(of_maps: Sequence[Any]) -> Int[Array, " N"]:
        return jnp.stack([jnp.asarray(value, jnp.int32) for value in of_maps])[jnp.maximum(level, 0)]

    heights, widths = (own([one.shape[axis] for one in maps]) for axis in (1, 2))
    sizes = [batch * one.shape[1] * one.shape[2] for one in maps]
    first = jnp.where(known, own([sum(sizes[:i]) for i in range(len(maps))]) + image * heights * widths, 0)
    take = jax.vmap(_axis_taps, in_axes=(0, 0, 0, None, None, 0))
    rows = take(start[:, 1], side[:, 1], known, output_size[0], samples, heights)
    columns = take(start[:, 0], side[:, 0], known, output_size[1], samples, widths)
    rows = rows._replace(position=first[:, None, None] + rows.position * widths[:, None, None])
    sampled = sample(tuple(one.reshape(-1, channels) for one in maps), rows, columns, level)
    return sampled.reshape(batch, -1, *output_size, channels)


def _axis_taps(
    start: Float[Array, ""],
    side: Float[Array, ""],
    known: Bool[Array, ""],
    bins: int,
    samples: int,
    length: Int[Array, ""],
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


def quantise(rois: Float[Array, "B R 4"], spatial_scale: float) -> tuple[Int[Array, "B R 2"], Int[Array, "B R 2"]]:
    """Return each RoI's first and last cell (x, y), both inclusive: corners rounded half away from zero, as in C."""
    corners = jnp.nan_to_num(rois.astype(jnp.float32) * spatial_scale)
    corners = jnp.clip(jnp.sign(corners) * jnp.floor(jnp.abs(corners) + 0.5), -1e6, 1e6).astype(jnp.int32)
    return corners[..., :2], corners[..., 2:]
