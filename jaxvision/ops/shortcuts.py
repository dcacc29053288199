"""Guards against shortcuts, by which a puzzle of patches could be solved without understanding what they show.

The light of different wavelengths is bent differently by a lens, so colour fringes tell where in a photograph a patch
lies; edges run on from one patch into the next; neighbours have like colours. Pieces are [B, N, h, w, 3] with a key an
image; each piece is treated by itself.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, UInt32

from jaxvision.ops.interpolation import hat

Pieces = Float[Array, "B N h w 3"]
_AXIS = np.array((-1.0, 2.0, -1.0)) / 6**0.5  # from magenta to green
_NOISE = 0.01  # of the kept channel's standard deviation
_LEAST_STD = 1 / 255  # a flat tile stays flat


def project_colors(images: Float[Array, "*b 3"]) -> Float[Array, "*b 3"]:
    """Remove the green–magenta component of the colours, in which fringes show (Doersch et al. 2015, section 3.1)."""
    kept = jnp.asarray(np.eye(3) - np.outer(_AXIS, _AXIS), jnp.float32)
    return jnp.dot(images, kept, precision=lax.Precision.HIGHEST)


def drop_colors(keys: UInt32[Array, "B 2"], pieces: Pieces) -> Pieces:
    """Keep a random channel of each piece; the other two become noise of 1/100 of its standard deviation.

    Pieces must have mean 0 over the data, as the noise has (Doersch et al. 2015, section 3.1).
    """

    def one(key: jax.Array, piece: Float[Array, "h w 3"]) -> Float[Array, "h w 3"]:
        channel_key, noise_key = jax.random.split(key)
        kept = jnp.arange(3) == jax.random.randint(channel_key, (), 0, 3)
        std = jnp.sum(jnp.where(kept, piece.std((0, 1)), 0.0))
        return jnp.where(kept[None, None], piece, _NOISE * std * jax.random.normal(noise_key, piece.shape))

    return _each(one, keys, pieces)


def pixelate(keys: UInt32[Array, "B 2"], pieces: Pieces, probability: float, least: int) -> Pieces:
    """Sample some pieces down and up again (Doersch et al. 2015, section 3.1).

    A piece's side in cells is uniform between √`least` and its side in pixels. A cell is the mean of the pixels it
    covers, and pixels are interpolated between cells.

    Args:
        keys: one an image.
        pieces: the pieces.
        probability: of a change of a piece.
        least: the fewest cells of a piece.

    Returns:
        The pieces.
    """
    side = pieces.shape[2]
    fewest = min(float(least) ** 0.5, float(side))

    def one(key: jax.Array, piece: Float[Array, "h w 3"]) -> Float[Array, "h w 3"]:
        whether, count = jax.random.uniform(key, (2,))
        cells = jnp.floor(fewest + count * (side + 1 - fewest))
        matrix = _resampled(side, jnp.where(whether < probability, jnp.clip(cells, 1, side), side))
        return jnp.einsum("yi,xj,ijc->yxc", matrix, matrix, piece, precision=lax.Precision.HIGHEST)

    return _each(one, keys, pieces)


def shift_channels(keys: UInt32[Array, "B 2"], pieces: Pieces, most: int) -> Pieces:
    """Move each channel of each piece at random, so that fringes mean nothing (Noroozi & Favaro 2016, section 4.2).

    Args:
        keys: one an image.
        pieces: the pieces; border pixels are repeated.
        most: the largest movement along each axis, in pixels (the paper: 2).

    Returns:
        The pieces.
    """
    height, width = pieces.shape[2:4]

    def channel(plane: Float[Array, "h w"], at: jax.Array) -> Float[Array, "h w"]:
        return lax.dynamic_slice(jnp.pad(plane, most, mode="edge"), (at[0], at[1]), (height, width))

    def one(key: jax.Array, piece: Float[Array, "h w 3"]) -> Float[Array, "h w 3"]:
        return jax.vmap(channel, in_axes=(2, 0), out_axes=2)(piece, jax.random.randint(key, (3, 2), 0, 2 * most + 1))

    return _each(one, keys, pieces)


def standardise_each(pieces: Pieces) -> Pieces:
    """Give each piece mean 0 and deviation 1, for values in 0..1.

    Neighbours then cannot be known by their brightness or contrast (Noroozi & Favaro 2016, section 4.2).
    """
    mean, std = pieces.mean((2, 3, 4), keepdims=True), pieces.std((2, 3, 4), keepdims=True)
    return (pieces - mean) / jnp.maximum(std, _LEAST_STD)


def equalise_each(pieces: Pieces, rms: float) -> Pieces:
    """Take each channel's mean off each piece, and give the piece a root mean square of `rms`.

    It is what the released code of Doersch et al. (2015) does, with 50 grey levels, behind the dropping of channels.

    Args:
        pieces: in grey levels.
        rms: the root mean square over a piece's channels and pixels, in grey levels.

    Returns:
        The pieces; one that is flat, but for a grey level, stays flat.
    """
    centred = pieces - pieces.mean((2, 3), keepdims=True)
    found = jnp.sqrt(jnp.square(centred).mean((2, 3, 4), keepdims=True))
    return rms * centred / jnp.maximum(found, 1.0)


def _each(one: Callable[[jax.Array, jax.Array], jax.Array], keys: UInt32[Array, "B 2"], pieces: Pieces) -> Pieces:
    """Apply `one(key, piece)` to every piece."""
    piece_keys = jax.vmap(partial(jax.random.split, num=pieces.shape[1]))(keys)
    return jax.vmap(jax.vmap(one))(piece_keys, pieces)


def _resampled(side: int, cells: jax.Array) -> Float[Array, "side side"]:
    """Return the matrix of one axis: means over a traced number of cells, interpolated back to `side` pixels."""
    width, at = side / cells, jnp.arange(side, dtype=jnp.float32)
    low, high = at * width, (at + 1) * width  # of cells, those past the last are outside the image
    shared = jnp.minimum(at[None] + 1, high[:, None]) - jnp.maximum(at[None], low[:, None])
    down = jnp.maximum(shared, 0.0) / width
    place = jnp.clip((at + 0.5) / width - 0.5, 0.0, cells - 1.0)
    up = hat(place[:, None] - at[None])
    return jnp.dot(up, down, precision=lax.Precision.HIGHEST)
