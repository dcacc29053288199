"""Patches of one image for puzzles: their places, and cutting them, with shapes that never change.

Places are top-left corners (row, column) in pixels. Each image's random draws come from its own key.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Int, Num, UInt32

NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
"""The eight places around a patch in rows and columns of patches, in the order of the answers."""

CELLS = 9  # of a puzzle, three by three


def cut(images: Num[Array, "B H W C"], corners: Int[Array, "B N 2"], size: int) -> Num[Array, "B N size size C"]:
    """Cut square patches out of images.

    Args:
        images: the images.
        corners: top-left corners (row, column) in pixels; the patches must lie inside the images.
        size: side of the patches, in pixels.

    Returns:
        The patches.
    """
    channels = images.shape[-1]

    def one(image: Num[Array, "H W C"], corner: Int[Array, " 2"]) -> Num[Array, "size size C"]:
        return lax.dynamic_slice(image, (corner[0], corner[1], 0), (size, size, channels))

    return jax.vmap(lambda image, places: jax.vmap(partial(one, image))(places))(images, corners)


def pairs(
    keys: UInt32[Array, "B 2"], extent: tuple[int, int], patch: int, gap: int, jitter: int
) -> tuple[Int[Array, "B 2 2"], Int[Array, " B"]]:
    """Draw a patch anywhere in each image and one of its `NEIGHBOURS` (Doersch et al. 2015, section 3).

    The first is placed so that any neighbour fits, or else its place would tell which neighbour was drawn.

    Args:
        keys: one an image.
        extent: height and width of the images, in pixels.
        patch: side of the patches, in pixels (the paper: 96).
        gap: pixels between the two patches (the paper: 48).
        jitter: each patch is moved by up to this many pixels in either direction (the paper: 7).

    Returns:
        The corners of the patch and of its neighbour, and the neighbour's index in `NEIGHBOURS`.

    Raises:
        ValueError: the images are too small for three patches in a row.
    """
    step = patch + gap
    least = 3 * patch + 2 * gap + 2 * jitter
    if min(extent) < least:
        raise ValueError(
            f"--image_size: patches of {patch} pixels with gaps of {gap} and jitter {jitter} need {least} pixels, not "
            f"{min(extent)}; give larger images or smaller patches"
        )
    low = step + jitter
    high = jnp.array([side - patch - step - jitter for side in extent])

    def one(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        place_key, answer_key, jitter_key = jax.random.split(key, 3)
        answer = jax.random.randint(answer_key, (), 0, len(NEIGHBOURS))
        first = jax.random.randint(place_key, (2,), low, high + 1)
        corners = jnp.stack([first, first + step * jnp.array(NEIGHBOURS)[answer]])
        return corners + jax.random.randint(jitter_key, (2, 2), -jitter, jitter + 1), answer

    return jax.vmap(one)(keys)


def cells(keys: UInt32[Array, "B 2"], extent: tuple[int, int], cell: int, tile: int) -> Int[Array, "B 9 2"]:
    """Draw the tiles of a 3×3 puzzle that lies anywhere in each image (Noroozi & Favaro 2016, section 4.2).

    Tiles lie anywhere in their cells, which leaves gaps of varying width between them.

    Args:
        keys: one an image.
        extent: height and width of the images, in pixels.
        cell: side of the cells, in pixels (the paper: 75).
        tile: side of the tiles, in pixels (the paper: 64).

    Returns:
        The corners of the nine tiles, row by row.

    Raises:
        ValueError: tiles are larger than cells, or the images too small for the puzzle.
    """
    if tile > cell or min(extent) < 3 * cell:
        raise ValueError(
            f"--image_size: a puzzle of cells of {cell} pixels with tiles of {tile} needs tiles no larger than cells, "
            f"and images of at least {3 * cell} pixels, not {min(extent)}"
        )
    room = jnp.array([side - 3 * cell for side in extent])
    origins = cell * jnp.array([(i, j) for i in range(3) for j in range(3)])

    def one(key: jax.Array) -> jax.Array:
        place_key, tile_key = jax.random.split(key)
        place = jax.random.randint(place_key, (2,), 0, room + 1)
        return place[None] + origins + jax.random.randint(tile_key, (CELLS, 2), 0, cell - tile + 1)

    return jax.vmap(one)(keys)
