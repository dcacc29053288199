"""Pictures of pretext tasks: the input, the network's answer, and the true answer."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Integer, UInt8

from jaxvision.viz.grid import RIGHT, WRONG, grid

_PLACES = ("above left", "above", "above right", "left", "right", "below left", "below", "below right")
_EMPTY = 244  # grey level of what shows nothing
_TILE = 128  # pixels: the least size of a picture among others


def rotations(
    images: UInt8[np.ndarray, "B 4 S S 3"], probabilities: Float[np.ndarray, "B 4 4"], *, most: int = 6
) -> UInt8[np.ndarray, "H W 3"]:
    """Draw a row for each image: its four turns, and the angle that the network names.

    Args:
        images: each image turned by 0°, 90°, 180° and 270°.
        probabilities: probability of each angle, for each turn.
        most: most images that are drawn, the first ones.
    """
    said = probabilities[:most].argmax(-1)
    right = said == np.arange(4)[None]
    captions = [
        f"{90 * k}°" if ok else f"{90 * k}°, is {90 * i}°"
        for row, good in zip(said, right, strict=True)
        for i, (k, ok) in enumerate(zip(row, good, strict=True))
    ]
    tiles = images[:most].reshape(-1, *images.shape[2:])
    return grid(tiles, 8, captions, _colors(right.ravel()))


def pairs(
    patches: UInt8[np.ndarray, "B 2 h w 3"],
    probabilities: Float[np.ndarray, "B 8"],
    answers: Integer[np.ndarray, " B"],
    *,
    most: int = 18,
) -> UInt8[np.ndarray, "H W 3"]:
    """Draw each pair of patches: one in the middle, and the other where the network places it.

    Args:
        patches: the two patches of each pair.
        probabilities: probability of each of the eight places around the first patch.
        answers: the true places, from 0 at the upper left, in the order of lines.
        most: most pairs that are drawn, the first ones.
    """
    said = probabilities[:most].argmax(-1)
    size = patches.shape[2]
    boards = np.full((len(said), 3 * size, 3 * size, 3), _EMPTY, np.uint8)
    boards[:, size : 2 * size, size : 2 * size] = patches[:most, 0]
    for board, patch, place in zip(boards, patches[:most, 1], said + (said > 3), strict=True):  # 4 is the middle
        y, x = size * (place // 3), size * (place % 3)
        board[y : y + size, x : x + size] = patch
    captions = [
        _PLACES[k] if k == truth else f"{_PLACES[k]}\nis {_PLACES[truth]}"
        for k, truth in zip(said, answers[:most], strict=True)
    ]
    return grid(boards, 6, captions, _colors(said == answers[:most]), size=_TILE)


def jigsaws(
    tiles: UInt8[np.ndarray, "B 9 h w 3"],
    probabilities: Float[np.ndarray, "B P"],
    answers: Integer[np.ndarray, " B"],
    permutations: Integer[np.ndarray, "P 9"],
    *,
    most: int = 9,
) -> UInt8[np.ndarray, "H W 3"]:
    """Draw each puzzle twice: shuffled, as the network sees it, and put together in the order that it names.

    Args:
        tiles: nine shuffled tiles of each image.
        probabilities: probability of each permutation.
        answers: the row of the true permutation.
        permutations: the permutations that are told apart.
        most: most puzzles that are drawn, the first ones.
    """
    said = probabilities[:most].argmax(-1)
    right = said == answers[:most]
    boards, captions, colors = [], [], []
    for shuffled, order, own, ok in zip(tiles[:most], permutations[said], answers[:most], right, strict=True):
        boards += [_laid(shuffled), _laid(shuffled[np.argsort(order)])]
        places = int(np.sum(order == permutations[own]))
        captions += ["shuffled", "laid" if ok else f"laid: {places} of 9 right"]
        colors += _colors(np.array([ok, ok]))
    return grid(np.stack(boards), 6, captions, colors, size=_TILE)


def triples(
    before: UInt8[np.ndarray, "B H W 3"],
    after: UInt8[np.ndarray, "B H W 3"],
    truth: UInt8[np.ndarray, "B H W 3"],
    names: Sequence[str],
    *,
    most: int = 12,
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Draw images in threes: the input, the network's output, and the truth.

    Args:
        before: the inputs.
        after: the outputs.
        truth: the true images.
        names: the captions of the three.
        most: most threes that are drawn, the first ones.
    """
    tiles = np.stack([before[:most], after[:most], truth[:most]], axis=1)
    return grid(tiles.reshape(-1, *tiles.shape[2:]), 6, list(names) * len(tiles))


def _laid(tiles: UInt8[np.ndarray, "9 h w 3"]) -> UInt8[np.ndarray, "H W 3"]:
    """Join nine tiles to a square, with a gap of at least one pixel."""
    gap = max(1, tiles.shape[1] // 12)
    size = tiles.shape[1] + gap
    board = np.full((3 * size - gap, 3 * size - gap, 3), _EMPTY, np.uint8)
    for i, tile in enumerate(tiles):
        y, x = size * (i // 3), size * (i % 3)
        board[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    return board


def _colors(right: np.ndarray) -> list[tuple[int, int, int]]:
    return [RIGHT if ok else WRONG for ok in right.tolist()]
