"""Questions about images that need no labels: pieces of an image are changed, and the answer is the change.

An `Ask` takes a key for each image and images in 0..1, and returns pieces, normalised, and answers. Everything random
comes from the image's key, so the number of devices changes nothing.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt32

from jaxvision.ops import lab, patches, shortcuts
from jaxvision.ops.images import Color, standardise
from jaxvision.ops.rotation import ANGLES, quarter_turns


class Questions(NamedTuple):
    """Q questions of N pieces for each image of a batch."""

    pieces: Float[Array, "B Q N h w 3"]  # normalised
    answers: Int[Array, "B Q"]  # classes, from 0


Ask = Callable[[UInt32[Array, "B 2"], Float[Array, "B H W 3"]], Questions]


def rotation(*, mean: Color, std: Color) -> Ask:
    """Ask by how much an image was turned: all four `ANGLES` of every image (Gidaris et al. 2018, section 2)."""

    def ask(keys: UInt32[Array, "B 2"], images: Float[Array, "B S S 3"]) -> Questions:
        turned = quarter_turns(standardise(255 * images, mean, std))
        answers = jnp.broadcast_to(jnp.arange(len(ANGLES))[None], turned.shape[:2])
        return Questions(turned[:, :, None], answers)

    return ask


def relative_patch(
    *,
    mean: Color,
    std: Color,
    patch: int,
    gap: int,
    jitter: int,
    color: Literal["drop", "project"] = "drop",
    pixelate: float = 0.5,
    least_pixels: int = 100,
    rms: float = 0.0,
) -> Ask:
    """Ask which of a patch's eight neighbours another patch is (Doersch et al. 2015, section 3).

    Args:
        mean: pixel mean of each channel, in 0..255.
        std: pixel standard deviation of each channel.
        patch: pixels a side.
        gap: pixels between neighbours (`ops.patches.pairs`).
        jitter: pixels by which a patch moves at most.
        color: guard against chromatic aberration: "drop" two channels, or "project" the colours (`ops.shortcuts`).
        pixelate: share of the patches that are sampled down and up again.
        least_pixels: fewest pixels of a patch that is sampled down.
        rms: root mean square in grey levels that each patch is brought to, its means taken off; 0: they stay as they
            are. It needs a `std` of 1.

    Returns:
        One question of two pieces for each image.
    """

    def ask(keys: UInt32[Array, "B 2"], images: Float[Array, "B H W 3"]) -> Questions:
        places, colors, pixels = _split(keys, 3)
        corners, answers = patches.pairs(places, (images.shape[1], images.shape[2]), patch, gap, jitter)
        pieces = patches.cut(standardise(255 * images, mean, std), corners, patch)
        pieces = shortcuts.pixelate(pixels, pieces, pixelate, least_pixels)
        pieces = shortcuts.drop_colors(colors, pieces) if color == "drop" else shortcuts.project_colors(pieces)
        pieces = shortcuts.equalise_each(pieces, rms) if rms else pieces
        return Questions(pieces[:, None], answers[:, None])

    return ask


def jigsaw(permutations: Int[Array, "P 9"], *, cell: int, tile: int, shift: int = 2, grey: float = 0.3) -> Ask:
    """Ask for the permutation of the tiles of a 3×3 puzzle (Noroozi & Favaro 2016, section 4).

    Args:
        permutations: the possible ones; under permutation p, place i shows tile p[i].
        cell: pixels a side of a cell of the puzzle.
        tile: pixels a side of the tile that is cut out of a cell, at a random place.
        shift: pixels by which each channel of a tile moves at most.
        grey: share of the images without colour.

    Returns:
        One question of nine pieces for each image; each tile is normalised by itself.
    """

    def ask(keys: UInt32[Array, "B 2"], images: Float[Array, "B H W 3"]) -> Questions:
        places, greys, shifts, answers = _split(keys, 4)
        colorless = jax.vmap(lambda key: jax.random.bernoulli(key, grey))(greys)
        images = jnp.where(colorless[:, None, None, None], lab.grey(images), images)
        tiles = patches.cut(images, patches.cells(places, (images.shape[1], images.shape[2]), cell, tile), tile)
        tiles = shortcuts.standardise_each(shortcuts.shift_channels(shifts, tiles, shift))
        drawn = jax.vmap(lambda key: jax.random.randint(key, (), 0, len(permutations)))(answers)
        shuffled = jax.vmap(lambda pieces, order: pieces[order])(tiles, permutations[drawn])
        return Questions(shuffled[:, None], drawn[:, None])

    return ask


def _split(keys: UInt32[Array, "B 2"], count: int) -> UInt32[Array, "count B 2"]:
    """Split each image's key into `count` keys."""
    return jnp.moveaxis(jax.vmap(lambda key: jax.random.split(key, count))(keys), 1, 0)
