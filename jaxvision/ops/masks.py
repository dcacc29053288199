"""Instance masks as M×M crops of their box: cut from a full mask, resampled to a RoI, pasted back into the canvas.

All three are bilinear interpolation at the centres of cells or pixels, so no step shifts a mask by half a pixel. The
interpolation is separable, and therefore two small matrix products.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from jaxvision.ops.interpolation import hat


def crop(mask: Num[Array, "*b H W"], boxes: Float[Array, "*b 4"], size: int) -> Float[Array, "*b M M"]:
    """Cut the part of full-size masks that lies in their boxes; beyond the canvas its border repeats.

    Args:
        mask: full-size masks.
        boxes: corners in pixels.
        size: M, the side of the cut mask in cells.

    Returns:
        The masks of the boxes.

    Example:
        >>> mask = jnp.zeros((8, 8)).at[:4].set(1)
        >>> crop_masks(mask, jnp.array([0.0, 2.0, 8.0, 6.0]), 2).tolist()
        [[1.0, 1.0], [0.0, 0.0]]
    """
    rows = _weights(_cell_centers(boxes[..., 1], boxes[..., 3], size) - 0.5, mask.shape[-2])
    columns = _weights(_cell_centers(boxes[..., 0], boxes[..., 2], size) - 0.5, mask.shape[-1])
    return _interpolate(rows, mask.astype(jnp.float32), columns)


def resample(
    crops: Float[Array, "*b M M"], boxes: Float[Array, "*b 4"], rois: Float[Array, "*b 4"], size: int
) -> Float[Array, "*b S S"]:
    """Return binary mask targets: each object's mask within a RoI (He et al. 2017, section 3.1).

    Args:
        crops: masks cut to `boxes`; outside its box an object's mask is 0.
        boxes: corners in pixels.
        rois: corners in pixels.
        size: S, the side of the target in cells.

    Returns:
        1 where the interpolated mask is at least 0.5, and 0 elsewhere.
    """
    rows = _axis_resampling(boxes[..., 1], boxes[..., 3], rois[..., 1], rois[..., 3], size, crops.shape[-2])
    columns = _axis_resampling(boxes[..., 0], boxes[..., 2], rois[..., 0], rois[..., 2], size, crops.shape[-1])
    return (_interpolate(rows, crops.astype(jnp.float32), columns) >= 0.5).astype(jnp.float32)


def paste(crops: Float[Array, "*b M M"], boxes: Float[Array, "*b 4"], shape: tuple[int, int]) -> Float[Array, "*b H W"]:
    """Paste masks of boxes into the canvas, 0 outside; threshold the result at 0.5 for binary masks.

    The result holds H·W values a mask: for many masks on a large canvas, `jax.lax.map` over them.

    Args:
        crops: masks cut to `boxes`.
        boxes: corners in pixels.
        shape: height and width of the canvas, in pixels.

    Returns:
        Full-size masks.

    Example:
        >>> pasted = paste_masks(jnp.ones((14, 14)), jnp.array([2.0, 2.0, 6.0, 6.0]), (8, 8))
        >>> pasted.shape, float(pasted[4, 4]), float(pasted[0, 0])
        ((8, 8), 1.0, 0.0)
    """
    rows = _axis_pasting(boxes[..., 1], boxes[..., 3], shape[0], crops.shape[-2])
    columns = _axis_pasting(boxes[..., 0], boxes[..., 2], shape[1], crops.shape[-1])
    return _interpolate(rows, crops.astype(jnp.float32), columns)


def torchvision_paste_boxes(boxes: Float[Array, "*b 4"], mask_size: int) -> Float[Array, "*b 4"]:
    """Return the boxes for which `paste` gives torchvision's masks.

    torchvision widens a box by one mask cell a side, cuts it to whole pixels and adds one pixel to its extent.
    """
    boxes = boxes.astype(jnp.float32)
    center, half = (boxes[..., :2] + boxes[..., 2:]) / 2, (boxes[..., 2:] - boxes[..., :2]) / 2
    half = half * ((mask_size + 2) / mask_size)
    first, last = jnp.trunc(center - half), jnp.trunc(center + half)
    extent = jnp.maximum(last - first + 1, 1)
    cell = extent / (mask_size + 2)
    return jnp.concatenate([first + cell, first + extent - cell], axis=-1)


def _cell_centers(low: Float[Array, "*b"], high: Float[Array, "*b"], count: int) -> Float[Array, "*b M"]:
    low, high = low.astype(jnp.float32), high.astype(jnp.float32)
    return low[..., None] + (high - low)[..., None] * (_range(count, low.ndim) + 0.5) / count


def _weights(at: Float[Array, "*b S"], length: int) -> Float[Array, "*b S L"]:
    """Return bilinear weights of cells at positions in cells; beyond the first or last cell, its value repeats."""
    return _hat(jnp.clip(at, 0, length - 1), length)


def _hat(at: Float[Array, "*b S"], length: int) -> Float[Array, "*b S L"]:
    return hat(at[..., None] - _range(length, at.ndim))


def _range(count: int, leading: int) -> Float[Array, "*ones N"]:
    """Return 0, 1, … along the last axis, after `leading` axes of length 1."""
    return jnp.arange(count, dtype=jnp.float32).reshape((1,) * leading + (count,))


def _axis_resampling(
    low: Float[Array, "*b"],
    high: Float[Array, "*b"],
    roi_low: Float[Array, "*b"],
    roi_high: Float[Array, "*b"],
    size: int,
    length: int,
) -> Float[Array, "*b S L"]:
    share = _share(_cell_centers(roi_low, roi_high, size), low, high)
    return jnp.where(((share >= 0) & (share <= 1))[..., None], _weights(share * length - 0.5, length), 0)


def _axis_pasting(
    low: Float[Array, "*b"], high: Float[Array, "*b"], pixels: int, length: int
) -> Float[Array, "*b S L"]:
    # Half a cell beyond the box the mask fades to 0, which is half way at the box's own border.
    centers = jnp.broadcast_to(_range(pixels, low.ndim) + 0.5, (*low.shape, pixels))
    return _hat(_share(centers, low, high) * length - 0.5, length)


def _share(at: Float[Array, "*b S"], low: Float[Array, "*b"], high: Float[Array, "*b"]) -> Float[Array, "*b S"]:
    """Return positions as a share of the way from low to high; far outside where low is high."""
    side = (high - low).astype(jnp.float32)[..., None]
    return jnp.where(side > 0, (at - low[..., None]) / jnp.where(side > 0, side, 1), -1e6)


def _interpolate(
    rows: Float[Array, "*b S H"], mask: Float[Array, "*b H W"], columns: Float[Array, "*b T W"]
) -> Float[Array, "*b S T"]:
    return jnp.einsum("...sh,...hw,...tw->...st", rows, mask, columns, precision=jax.lax.Precision.HIGHEST)
