"""Interventions on a generator's units, and where to make them (Bau et al. 2019, "GAN Dissection", section 3.2).

An `Edit` takes a layer's map and returns another one for the layers above: `generator(z, edit={"layer2":
ablate(alpha)})`.
"""

from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, UInt32

Edit = Callable[[jax.Array], jax.Array]


def checked(edit: Mapping[str, Edit] | None, names: Sequence[str]) -> Mapping[str, Edit]:
    """Return the edits of a network's maps, {} for None. ValueError: one is of a map that the network has not."""
    if unknown := sorted(set(edit or {}) - set(names)):
        raise ValueError(f"edit names {', '.join(unknown)}: choose of {', '.join(names)}")
    return edit or {}


def chosen(units: Sequence[int], count: int) -> Float32[np.ndarray, " U"]:
    """Return 1 for the `units` and 0 for all others of `count`: an α that acts fully on these units."""
    alpha = np.zeros(count, np.float32)
    alpha[list(units)] = 1.0
    return alpha


def insert(
    alpha: Float[Array, "#B U"], values: Float[Array, "#B U"], where: Float[Array, "#B h w"] | None = None
) -> Edit:
    """Return the edit that moves units towards constant values: r → (1 - α·m)·r + α·m·k.

    Args:
        alpha: α of each unit, 0 to 1; one row serves all images.
        values: k, the constant of each unit; one row serves all images.
        where: the mask m over the map, 0 to 1; 1 everywhere without it.

    Returns:
        The edit.
    """

    def edit(maps: Float[Array, "B h w U"]) -> Float[Array, "B h w U"]:
        mask = jnp.ones((1, *maps.shape[1:3])) if where is None else where
        share = (alpha[:, None, None] * mask[..., None]).astype(maps.dtype)
        return (1 - share) * maps + share * values[:, None, None].astype(maps.dtype)

    return edit


def ablate(alpha: Float[Array, "#B U"], where: Float[Array, "#B h w"] | None = None) -> Edit:
    """Return the edit that moves units towards 0, in the measure of α."""
    return insert(alpha, jnp.zeros_like(alpha), where)


def pool(pixels: Float[Array, "B H W K"], size: Sequence[int]) -> Float[Array, "B h w K"]:
    """Return the mean over each of h×w equal cells; a pixel shared by cells counts in each by its part there."""
    rows, columns = (jnp.asarray(_shares(n, m), pixels.dtype) for n, m in zip(pixels.shape[1:3], size, strict=True))
    return jnp.einsum("ip,bpqk,jq->bijk", rows, pixels, columns, precision=jax.lax.Precision.HIGHEST)


def place(keys: UInt32[Array, "B 2"], presence: Float[Array, "B h w"], patch: int) -> Float[Array, "B h w"]:
    """Draw a square of cells for each image, as a mask.

    Every second one, on average, is around a cell drawn in proportion to `presence`, so that there is something to
    ablate also where a concept is rare; all others are anywhere, with equal probability.

    Args:
        keys: one an image.
        presence: how much of a concept is in each cell.
        patch: side of the square, in cells; it is cut at the border.

    Returns:
        1 inside the square and 0 outside.
    """
    batch, height, width = presence.shape
    flat = presence.reshape(batch, -1).astype(jnp.float32)
    total = flat.sum(axis=1, keepdims=True)
    even = jnp.full_like(flat, 1 / flat.shape[1])
    there = jnp.where(total > 0, flat / jnp.where(total > 0, total, 1.0), even)
    cells = jax.vmap(jax.random.categorical)(keys, jnp.log((even + there) / 2))
    rows = _span(cells // width, patch, height)
    columns = _span(cells % width, patch, width)
    return rows[:, :, None] * columns[:, None]


def at(presence: Float[Array, "B h w"], where: Float[Array, "B h w"]) -> Float[Array, " B"]:
    """Return the mean of `presence` over the cells of a mask."""
    return (presence * where).sum(axis=(1, 2)) / jnp.maximum(where.sum(axis=(1, 2)), 1e-6)


def _span(center: Array, length: int, cells: int) -> Float[Array, "B cells"]:
    first = center - (length - 1) // 2
    index = jnp.arange(cells)[None]
    return ((index >= first[:, None]) & (index < first[:, None] + length)).astype(jnp.float32)


def _shares(pixels: int, cells: int) -> Float[np.ndarray, "cells pixels"]:
    """Return the matrix [to, from] of a mean along one axis."""
    low = np.arange(cells)[:, None] * pixels / cells
    start = np.arange(pixels)[None]
    overlap = np.minimum(low + pixels / cells, start + 1) - np.maximum(low, start)
    return np.maximum(overlap, 0) * cells / pixels
