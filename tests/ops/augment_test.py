from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import augment
from jaxvision.ops.resample import crop_resize

IMAGES = jnp.asarray(np.random.default_rng(0).uniform(0.1, 0.9, (8, 12, 10, 3)).astype(np.float32))
KEYS = jax.random.split(jax.random.PRNGKey(0), 8)
MANY = jax.random.split(jax.random.PRNGKey(1), 2000)
STEPS = {
    "crop": partial(augment.random_resized_crop, size=8),
    "flip": augment.flip,
    "color_jitter": partial(augment.color_jitter, strengths=(0.8, 0.8, 0.8, 0.2), probability=0.8),
    "grayscale": partial(augment.grayscale, probability=0.5),
    "blur": partial(augment.blur, sigma=(0.1, 2.0), kernel=3, probability=0.5),
    "solarize": partial(augment.solarize, probability=0.5),
    "cutout": partial(augment.cutout, size=4, probability=0.5),
}


@pytest.mark.parametrize("name", STEPS)
def test_an_image_depends_on_its_key_alone(name: str):
    whole = jax.jit(STEPS[name])(KEYS, IMAGES)
    chex.assert_shape(whole, (8, 8, 8, 3) if name == "crop" else IMAGES.shape)
    assert float(whole.min()) >= 0 and float(whole.max()) <= 1 + 1e-6
    chex.assert_trees_all_close(jax.jit(STEPS[name])(KEYS[5:7], IMAGES[5:7]), whole[5:7], atol=1e-6)
    assert not np.allclose(jax.jit(STEPS[name])(KEYS[::-1], IMAGES), whole)


@pytest.mark.parametrize("name", sorted(set(STEPS) - {"crop"}))
def test_probability(name: str):
    images = jnp.broadcast_to(jnp.asarray([0.7, 0.4, 0.6]).reshape(1, 1, 1, 3), (2000, 3, 4, 3))
    images = images * (jnp.arange(1, 5) / 4).reshape(1, 1, 4, 1)
    chex.assert_trees_all_equal(STEPS[name](KEYS, IMAGES, probability=0.0), IMAGES)
    found = jax.jit(partial(STEPS[name], probability=0.3))(MANY, images)
    changed = np.any(np.asarray(found != images), axis=(1, 2, 3))
    assert abs(changed.mean() - 0.3) < 0.04


def test_chain_gives_each_step_keys_of_its_own():
    keys = jax.vmap(partial(jax.random.split, num=2))(KEYS)
    flipped = augment.flip(keys[:, 0], IMAGES)
    expected = STEPS["crop"](keys[:, 1], flipped)
    chex.assert_trees_all_equal(augment.chain(augment.flip, STEPS["crop"])(KEYS, IMAGES), expected)
    assert augment.chain()(KEYS, IMAGES) is IMAGES


def test_crops_follow_their_bounds_and_cover_the_image():
    draw = partial(augment.crop_box, height=60, width=80, area=(0.2, 0.8), aspect=(0.5, 2.0))
    boxes = np.asarray(jax.vmap(draw)(MANY))
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    share = width * height / 4800
    assert boxes.min() >= 0 and boxes[:, 2].max() == 80 and boxes[:, 3].max() == 60
    assert 0.19 < share.min() < 0.25 and 0.75 < share.max() < 0.82
    ratios = width / height
    assert 0.48 < ratios.min() < 0.6 and 1.8 < ratios.max() < 2.1
    assert boxes[:, 0].min() == boxes[:, 1].min() == 0


def test_crop_draws_are_torchvisions_distribution():
    """Mean share, log aspect and place of 2,000 parts against NumPy's rejection sampling of the same law."""
    draw = partial(augment.crop_box, height=32, width=32, area=(0.08, 1.0), aspect=(3 / 4, 4 / 3))
    boxes = np.asarray(jax.vmap(draw)(MANY)).astype(float)
    rng, wanted = np.random.default_rng(0), []
    while len(wanted) < 20000:
        area, ratio = 1024 * rng.uniform(0.08, 1.0), np.exp(rng.uniform(*np.log((3 / 4, 4 / 3))))
        w, h = round(np.sqrt(area * ratio)), round(np.sqrt(area / ratio))
        if w <= 32 and h <= 32:
            x, y = rng.integers(32 - w + 1), rng.integers(32 - h + 1)
            wanted.append((x, y, x + w, y + h))
    np.testing.assert_allclose(boxes.mean(0), np.mean(wanted, 0), atol=0.6)
    np.testing.assert_allclose(boxes.std(0), np.std(wanted, 0), atol=0.6)


def test_a_part_that_never_fits_is_the_largest_central_one():
    draw = partial(augment.crop_box, height=10, width=100, area=(0.9, 1.0), aspect=(3 / 4, 4 / 3))
    np.testing.assert_array_equal(jax.vmap(draw)(KEYS), np.tile([43, 0, 56, 10], (8, 1)))


def test_crop_is_the_drawn_part_resized():
    box = augment.crop_box(KEYS[3], 12, 10, (0.08, 1.0), (3 / 4, 4 / 3))
    found = augment.random_resized_crop(KEYS, IMAGES, 8)[3]
    np.testing.assert_allclose(found, crop_resize(IMAGES[3], box, 8), atol=1e-6)


def test_flip_mirrors_left_and_right():
    chex.assert_trees_all_equal(augment.flip(KEYS, IMAGES, 1.0), IMAGES[:, :, ::-1])


def test_jitter_of_a_flat_grey_image_is_its_brightness():
    grey = jnp.full((2000, 1, 1, 3), 0.5)
    levels = jax.jit(partial(augment.color_jitter, strengths=(0.4, 0.4, 0.4, 0.1)))(MANY, grey)[:, 0, 0, 0]
    assert 0.3 <= levels.min() < 0.31 and 0.69 < levels.max() <= 0.7
    np.testing.assert_allclose(levels.mean(), 0.5, atol=0.01)


def test_cutout_cuts_a_square_that_may_stick_out():
    ones = jnp.ones((2000, 12, 10, 3))
    cut = np.asarray(jax.jit(partial(augment.cutout, size=4))(MANY, ones)) == 0
    areas = cut[..., 0].sum((1, 2))
    assert areas.max() == 16 and areas.min() == 4
    assert cut.any(0).all()
