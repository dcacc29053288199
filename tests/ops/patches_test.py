"""Patches equal NumPy's slices, and lie where the papers put them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops.patches import CELLS, NEIGHBOURS, cells, cut, pairs

KEYS = jax.random.split(jax.random.PRNGKey(0), 3000)


def test_patches_are_slices():
    images = np.random.default_rng(0).normal(size=(2, 9, 11, 3)).astype(np.float32)
    corners = np.array([[[0, 0], [4, 7], [5, 2]], [[1, 1], [5, 7], [0, 7]]])
    found = jax.jit(cut, static_argnums=2)(images, corners, 4)
    for b, places in enumerate(corners):
        for n, (y, x) in enumerate(places):
            np.testing.assert_array_equal(found[b, n], images[b, y : y + 4, x : x + 4])


def test_gradients_go_to_the_pixels_that_were_cut():
    grads = jax.grad(lambda x: cut(x, jnp.array([[[1, 2], [2, 2]]]), 2).sum())(jnp.zeros((1, 5, 5, 1)))
    expected = np.zeros((5, 5))
    expected[1:3, 2:4] += 1
    expected[2:4, 2:4] += 1
    np.testing.assert_array_equal(grads[0, ..., 0], expected)


def test_a_neighbour_lies_across_the_gap():
    """Without jitter, exactly one patch and gap away, on the side that the answer names."""
    corners, answers = pairs(KEYS, (60, 80), 10, 5, 0)
    np.testing.assert_array_equal(corners[:, 1] - corners[:, 0], 15 * np.array(NEIGHBOURS)[answers])
    np.testing.assert_allclose(np.bincount(answers) / 3000, 1 / 8, atol=0.03)
    assert len(np.unique(corners[:, 0], axis=0)) > 300


def test_jitter_moves_both_and_all_stay_inside():
    corners, answers = (np.asarray(x) for x in pairs(KEYS, (50, 60), 10, 5, 3))
    off = corners[:, 1] - corners[:, 0] - 15 * np.array(NEIGHBOURS)[answers]
    assert set(np.unique(off)) == set(range(-6, 7))  # a difference of two moves of up to 3
    assert corners.min() >= 0 and (corners + 10 <= [50, 60]).all()
    gaps = np.abs(corners[:, 1] - corners[:, 0]).max(1) - 10
    assert gaps.min() == -1 and gaps.max() == 11  # 5, give or take 6


def test_where_the_first_patch_lies_does_not_tell_the_answer():
    corners, answers = (np.asarray(x) for x in pairs(KEYS, (46, 46), 10, 5, 1))
    for k in range(8):
        np.testing.assert_allclose(corners[answers == k, 0].mean(0), corners[:, 0].mean(0), atol=0.5)


def test_tiles_lie_anywhere_in_their_cells():
    corners = np.asarray(cells(KEYS, (35, 40), 10, 8))
    assert corners.shape == (3000, CELLS, 2)
    grid = np.array([(i, j) for i in range(3) for j in range(3)]) * 10
    places = corners - grid[None]  # of the puzzle in the image, and of the tile in its cell
    assert places.min() == 0 and places[..., 0].max() == 7 and places[..., 1].max() == 12
    gaps = corners[:, 1, 1] - corners[:, 0, 1] - 8
    assert gaps.min() == 0 and gaps.max() == 4  # between no gap and both margins of 2
    exact = np.asarray(cells(KEYS[:3], (30, 30), 10, 10))
    np.testing.assert_array_equal(exact, np.broadcast_to(grid[None], exact.shape))


def test_a_key_an_image():
    one = cells(KEYS[5:6], (35, 40), 10, 8)
    np.testing.assert_array_equal(one[0], cells(KEYS[:9], (35, 40), 10, 8)[5])
    np.testing.assert_array_equal(pairs(KEYS[5:6], (60, 60), 9, 4, 2)[0][0], pairs(KEYS[:9], (60, 60), 9, 4, 2)[0][5])


def test_images_that_are_too_small():
    with pytest.raises(ValueError, match="image_size: patches of 10 pixels .* need 46 pixels, not 40"):
        pairs(KEYS[:1], (40, 80), 10, 5, 3)
    with pytest.raises(ValueError, match="image_size: a puzzle of cells of 15 .* at least 45 pixels, not 44"):
        cells(KEYS[:1], (44, 60), 15, 12)
    with pytest.raises(ValueError, match="tiles no larger than cells"):
        cells(KEYS[:1], (60, 60), 10, 12)
