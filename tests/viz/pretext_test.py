"""Pictures of pretext tasks: the right pieces at the right places, right and wrong answers in their colours."""

import numpy as np

from jaxvision.viz.grid import GAP, RIGHT, WRONG
from jaxvision.viz.pretext import jigsaws, pairs, rotations, triples


def frames(picture: np.ndarray) -> tuple[bool, bool]:
    """Whether a frame of a right and of a wrong answer is in the picture."""
    right, wrong = ((picture == np.array(color)).all(-1).any() for color in (RIGHT, WRONG))
    return bool(right), bool(wrong)


def test_rotations_are_framed_by_what_was_said():
    images = np.zeros((2, 4, 8, 8, 3), np.uint8)
    sure = np.broadcast_to(np.eye(4)[None], (2, 4, 4))
    assert frames(rotations(images, sure)) == (True, False)
    assert frames(rotations(images, sure[:, ::-1])) == (False, True)
    mixed = sure.copy()
    mixed[1] = mixed[1, ::-1]
    assert frames(rotations(images, mixed)) == (True, True) and frames(rotations(images, mixed, most=1))[0]


def test_a_patch_is_shown_where_it_is_said_to_be():
    patches = np.zeros((1, 2, 48, 48, 3), np.uint8)
    patches[:, 1] = (10, 20, 30)
    answers = np.array([4])
    right = pairs(patches, np.eye(8)[[4]], answers)
    inside = GAP + np.array([24, 72, 120])  # the middles of the board's rows and columns
    assert tuple(right[inside[1], inside[2]]) == (10, 20, 30)  # right of the middle
    assert tuple(right[inside[1], inside[1]]) == (0, 0, 0) and tuple(right[inside[0], inside[0]]) == (244, 244, 244)
    assert frames(right) == (True, False)
    wrong = pairs(patches, np.eye(8)[[0]], answers)
    assert tuple(wrong[inside[0], inside[0]]) == (10, 20, 30) and frames(wrong) == (False, True)


def test_a_puzzle_that_is_solved_is_whole_again():
    order = np.array([[8, 7, 6, 5, 4, 3, 2, 1, 0], np.arange(9)])
    tiles = np.repeat(np.arange(9, dtype=np.uint8) * 20, 48 * 48 * 3).reshape(9, 48, 48, 3)
    shuffled = tiles[order[0]][None]
    picture = jigsaws(shuffled, np.eye(2)[[0]], np.array([0]), order)
    step, side = 52, 3 * 52 - 4  # a tile and its gap; a board
    board = GAP + side + GAP  # left of the second one
    middles = 24 + step * np.arange(3)
    seen = picture[GAP + middles][:, GAP + middles, 0]
    laid = picture[GAP + middles][:, board + middles, 0]
    np.testing.assert_array_equal(laid.ravel(), np.arange(9) * 20)
    np.testing.assert_array_equal(seen.ravel(), np.arange(9)[::-1] * 20)
    assert frames(picture) == (True, False)
    assert frames(jigsaws(shuffled, np.eye(2)[[1]], np.array([0]), order)) == (False, True)


def test_triples_stand_side_by_side():
    seen, made, true = (np.full((1, 96, 96, 3), value, np.uint8) for value in (1, 2, 3))
    picture = triples(seen, made, true, ("seen", "filled", "truth"))
    assert [picture[GAP + 48, GAP + 48 + i * (96 + GAP), 0] for i in range(3)] == [1, 2, 3]
