"""Questions: the answer is true of the pieces, and every guard is in its place."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.ops.permutations import spread
from jaxvision.tasks.questions import jigsaw, relative_patch, rotation

GREY = {"mean": (127.5, 127.5, 127.5), "std": (127.5, 127.5, 127.5)}
KEYS = jax.random.split(jax.random.PRNGKey(0), 32)
IMAGES = jax.random.uniform(jax.random.PRNGKey(1), (32, 48, 48, 3))
PATCHES = partial(relative_patch, **GREY, patch=12, gap=3, jitter=1, least_pixels=16)


def test_every_image_is_asked_at_all_four_angles():
    pieces, answers = jax.jit(rotation(**GREY))(KEYS, IMAGES)
    assert pieces.shape == (32, 4, 1, 48, 48, 3)
    np.testing.assert_array_equal(answers, np.broadcast_to(np.arange(4)[None], (32, 4)))
    for k in range(4):
        np.testing.assert_allclose(pieces[:, k, 0], np.rot90(2 * IMAGES - 1, k, (1, 2)), atol=1e-5)


def test_a_patch_lies_where_the_answer_says():
    """In an image whose red is its row and whose green is its column."""
    rows = jnp.broadcast_to(jnp.arange(48.0).reshape(1, 48, 1) / 48, (32, 48, 48))
    columns, zeros = jnp.swapaxes(rows, 1, 2), jnp.zeros((32, 48, 48))
    ask = jax.jit(PATCHES(color="project", pixelate=0.0, gap=3))
    pieces, answers = ask(KEYS, jnp.stack([rows, zeros, zeros], axis=-1))
    across, _ = ask(KEYS, jnp.stack([columns, zeros, zeros], axis=-1))
    assert pieces.shape == (32, 1, 2, 12, 12, 3) and answers.shape == (32, 1)
    down = np.sign(np.round((pieces[:, 0, 1] - pieces[:, 0, 0]).mean((1, 2))[:, 0] * 48 / 2 * 6 / 5 / 15))
    right = np.sign(np.round((across[:, 0, 1] - across[:, 0, 0]).mean((1, 2))[:, 0] * 48 / 2 * 6 / 5 / 15))
    places = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)]
    np.testing.assert_array_equal(np.stack([down, right], axis=1), np.array(places)[answers[:, 0]])


def test_guards_of_patches():
    plain, _ = jax.jit(PATCHES(color="project", pixelate=0.0))(KEYS, IMAGES)
    np.testing.assert_allclose(plain @ np.array([-1.0, 2.0, -1.0], np.float32), 0, atol=1e-4)
    dropped, _ = jax.jit(PATCHES(color="drop", pixelate=0.0))(KEYS, IMAGES)
    assert ((dropped.std((3, 4)) < 0.02).sum(-1) == 2).all()
    coarse, _ = jax.jit(PATCHES(color="project", pixelate=1.0))(KEYS, IMAGES)
    assert float(coarse.std()) < 0.8 * float(plain.std())


def test_patches_are_in_grey_levels_of_one_size_where_that_is_asked():
    levels = {"mean": (127.5, 127.5, 127.5), "std": (1.0, 1.0, 1.0)}
    ask = relative_patch(**levels, patch=12, gap=3, jitter=1, pixelate=0.0, rms=50.0)
    pieces = np.asarray(jax.jit(ask)(KEYS, IMAGES).pieces)
    np.testing.assert_allclose(np.sqrt((pieces**2).mean((3, 4, 5))), 50, rtol=1e-3)
    stds = np.sort(pieces.std((3, 4)), axis=-1)
    np.testing.assert_allclose(stds[..., 2], 50 * 3**0.5, rtol=1e-3)
    assert (stds[..., :2] < 2).all(), "two channels are faint"


def test_tiles_are_in_the_permutation_that_is_the_answer():
    orders = jnp.asarray(spread(9), jnp.int32)
    cells = jnp.repeat(jnp.repeat(jnp.arange(9.0).reshape(3, 3), 16, 0), 16, 1) / 9
    images = jnp.broadcast_to(cells[None, ..., None], (32, 48, 48, 3)) + 0.001 * IMAGES
    seen = []

    def remember(pieces: jax.Array) -> jax.Array:
        seen.append(pieces)
        return pieces

    from jaxvision.ops import shortcuts

    original, shortcuts.standardise_each = shortcuts.standardise_each, remember
    try:
        pieces, answers = jigsaw(orders, cell=16, tile=12, shift=1, grey=0.3)(KEYS, images)
    finally:
        shortcuts.standardise_each = original
    shown = np.round(np.asarray(pieces[:, 0]).mean((2, 3, 4)) * 9 - 0.005)
    np.testing.assert_array_equal(shown, np.asarray(orders)[answers[:, 0]])
    assert len(np.unique(answers)) > 5 and len(seen) == 1


def test_guards_of_tiles():
    orders = jnp.asarray(spread(4), jnp.int32)
    pieces, _ = jax.jit(jigsaw(orders, cell=16, tile=12, shift=0, grey=0.3))(KEYS, IMAGES)
    np.testing.assert_allclose(pieces.mean((3, 4, 5)), 0, atol=1e-4)
    np.testing.assert_allclose(pieces.std((3, 4, 5)), 1, atol=1e-3)
    without_color = np.isclose(pieces[..., 0], pieces[..., 2], atol=1e-4).all((1, 2, 3, 4))
    assert 0.1 < without_color.mean() < 0.55
    grey = jnp.broadcast_to(IMAGES.mean(-1, keepdims=True), IMAGES.shape)
    moved, _ = jax.jit(jigsaw(orders, cell=16, tile=12, shift=2, grey=0.0))(KEYS, grey)
    assert not np.isclose(moved[..., 0], moved[..., 2], atol=1e-3).all((3, 4)).all()  # channels lie apart
