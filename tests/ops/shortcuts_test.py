"""Every guard takes away what it is to take away, and each piece by itself."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.ops import shortcuts

KEYS = jax.random.split(jax.random.PRNGKey(1), 64)
PIECES = jax.random.normal(jax.random.PRNGKey(0), (64, 2, 12, 12, 3))


def test_projection_removes_green_against_magenta_and_nothing_else():
    green = jnp.array([-1.0, 2.0, -1.0])
    others = jnp.array([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [0.3, 0.3, 0.3]])
    np.testing.assert_allclose(shortcuts.project_colors(green), 0, atol=1e-6)
    np.testing.assert_allclose(shortcuts.project_colors(others), others, atol=1e-6)
    left = shortcuts.project_colors(PIECES)
    np.testing.assert_allclose(jnp.einsum("bnhwc,c->bnhw", left, green), 0, atol=1e-5)


def test_one_channel_is_kept_and_the_others_are_faint_noise():
    found = np.asarray(shortcuts.drop_colors(KEYS, 5 * PIECES))
    same = (found == np.asarray(5 * PIECES)).all((2, 3))
    assert (same.sum(-1) == 1).all()
    np.testing.assert_allclose(same.mean((0, 1)), 1 / 3, atol=0.12)  # each channel in its turn
    assert (same[:, 0] != same[:, 1]).any()  # drawn anew for each piece
    stds = found.std((2, 3))
    np.testing.assert_allclose(stds[~same], np.repeat(0.01 * stds[same], 2), rtol=0.35)
    assert abs(found.transpose(0, 1, 4, 2, 3)[~same].mean()) < 0.01


def test_pieces_are_brought_to_one_root_mean_square_without_their_means():
    grey = jnp.linspace(3, 30, 64)[:, None, None, None, None] * PIECES + 20
    found = np.asarray(shortcuts.equalise_each(grey, 50.0))
    np.testing.assert_allclose(found.mean((2, 3)), 0, atol=1e-3)
    np.testing.assert_allclose(np.sqrt((found**2).mean((2, 3, 4))), 50, rtol=1e-4)
    own = np.asarray(grey[5, 1]) - np.asarray(grey[5, 1]).mean((0, 1))
    np.testing.assert_allclose(found[5, 1], 50 * own / np.sqrt((own**2).mean()), rtol=1e-3, atol=1e-3)
    assert not np.asarray(shortcuts.equalise_each(jnp.full((1, 1, 4, 4, 3), 9.0), 50.0)).any()


def test_pixelation_leaves_blocks_and_the_mean():
    found = np.asarray(shortcuts.pixelate(KEYS, PIECES, 1.0, 16))
    changed = ~np.isclose(found, PIECES, atol=1e-5).all((2, 3, 4))
    assert 0.75 < changed.mean() < 1  # 8 of 9 sizes are smaller than the piece
    spread = found.std((2, 3)).mean(-1)
    assert spread.min() < 0.4 and (spread < 1.15).all()  # 16 cells of 9 pixels each have a third of the deviation
    none = shortcuts.pixelate(KEYS, PIECES, 0.0, 16)
    np.testing.assert_allclose(none, PIECES, atol=1e-6)
    half = ~np.isclose(shortcuts.pixelate(KEYS, PIECES, 0.5, 16), PIECES, atol=1e-5).all((2, 3, 4))
    assert 0.3 < half.mean() < 0.6


def test_down_and_up_again_by_hand():
    matrix = np.asarray(shortcuts._resampled(4, jnp.asarray(2.0)))
    low, high = np.array([0.5, 0.5, 0, 0]), np.array([0, 0, 0.5, 0.5])
    expected = [low, 0.75 * low + 0.25 * high, 0.25 * low + 0.75 * high, high]
    np.testing.assert_allclose(matrix, expected, atol=1e-6)
    np.testing.assert_allclose(shortcuts._resampled(5, jnp.asarray(5.0)), np.eye(5), atol=1e-5)
    ragged = np.asarray(shortcuts._resampled(7, jnp.asarray(3.0)))
    np.testing.assert_allclose(ragged.sum(1), 1, atol=1e-5)
    assert (ragged >= 0).all()


def test_each_channel_moves_by_itself():
    ramp = jnp.broadcast_to(jnp.arange(12.0).reshape(1, 1, 1, 12, 1), PIECES.shape)
    found = np.asarray(shortcuts.shift_channels(KEYS, ramp, 2))
    shifts = found[..., 6, 6, :] - 6
    assert set(np.unique(shifts)) == {-2, -1, 0, 1, 2}
    assert (shifts[:, 0] != shifts[:, 1]).any() and (shifts[..., 0] != shifts[..., 2]).any()
    assert found.min() == 0 and found.max() == 11  # the border is repeated
    np.testing.assert_array_equal(shortcuts.shift_channels(KEYS, PIECES, 0), PIECES)


def test_each_tile_is_normalised_by_itself():
    bright = 0.1 * PIECES + jnp.arange(128.0).reshape(64, 2, 1, 1, 1) / 128
    found = np.asarray(shortcuts.standardise_each(bright))
    np.testing.assert_allclose(found.mean((2, 3, 4)), 0, atol=1e-5)
    np.testing.assert_allclose(found.std((2, 3, 4)), 1, atol=1e-4)
    np.testing.assert_allclose(shortcuts.standardise_each(jnp.full((1, 1, 4, 4, 3), 0.7)), 0, atol=1e-4)
    grads = jax.grad(lambda x: shortcuts.standardise_each(x).sum())(jnp.full((1, 1, 4, 4, 3), 0.7))
    assert np.isfinite(np.asarray(grads)).all()
