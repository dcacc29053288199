"""Questions that an image asks of a network about itself: its pieces, changed, and what was done to them.

An `Ask` takes a key an image and images in 0..1. It gives the pieces as the network sees them, normalised, and the
answers; what is random comes from the image's key, so the number of devices changes nothing.
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

    pieces: Float[Array, "B Q N h w 3"]
    answers: Int[Array, "B Q"]


Ask = Callable[[UInt32[Array, "B 2"], Float[Array, "B H W 3"]], Questions]


def rotation(*, mean: Color, std: Color) -> Ask:
    """By how much was the image turned? All four `ANGLES` of every image (Gidaris et al. 2018, section 2)."""

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
) -> Ask:
    """Which of a patch's eight neighbours is the other one? (Doersch et al. 2015, section 3.)

    `color` is the guard against chromatic aberration; a share `pixelate` of the patches is sampled down, to as few as
    `least_pixels`. See `ops.patches.pairs` and `ops.shortcuts`.
    """

    def ask(keys: UInt32[Array, "B 2"], images: Float[Array, "B H W 3"]) -> Questions:
        places, colors, pixels = _split(keys, 3)
        corners, answers = patches.pairs(places, (images.shape[1], images.shape[2]), patch, gap, jitter)
        pieces = patches.cut(standardise(255 * images, mean, std), corners, patch)
        pieces = shortcuts.pixelate(pixels, pieces, pixelate, least_pixels)
        pieces = shortcuts.drop_colors(colors, pieces) if color == "drop" else shortcuts.project_colors(pieces)
        return Questions(pieces[:, None], answers[:, None])

    return ask


def jigsaw(permutations: Int[Array, "P 9"], *, cell: int, tile: int, shift: int = 2, grey: float = 0.3) -> Ask:
    """In which of `permutations` are the tiles of a 3×3 puzzle? (Noroozi & Favaro 2016, section 4.)

    Under permutation p, place i shows tile p[i]. A share `grey` of the images is without colour, in the others each
    channel of each tile moves by up to `shift` pixels; each tile is normalised by itself.
    """

    def ask(keys: UInt32[Array, "B 2"], images: Float[Array, "B H W 3"]) -> Questions:
        places, greys, shifts, answers = _split(keys, 4)
        colorless = jax.vmap(lambda key: jax.random.bernoulli(key, grey))(greys)
        images = jnp.where(colorless[:, None, None, None], lab.grey(images), images)
        tiles = patches.cut(images, patches.cells(places, (images.shape[1], images.shape[2]), cell, tile), tile)
        tiles = shortcuts.standardise_each(shortcuts.shift_channels(shifts, tiles, shift))
        drawn = jax.vmap(lambda key: jax.random.randint(key, (), 0, len(permutations)))(answers)
        shuffled = jax.vmap(lambda own, order: own[order])(tiles, permutations[drawn])
        return Questions(shuffled[:, None], drawn[:, None])

    return ask


def _split(keys: UInt32[Array, "B 2"], count: int) -> UInt32[Array, "count B 2"]:
    """Keys for `count` purposes from each image's."""
    return jnp.moveaxis(jax.vmap(lambda key: jax.random.split(key, count))(keys), 1, 0)
