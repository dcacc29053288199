from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops.images import normalise
from jaxvision.tasks.views import features, see_views, two_views
from jaxvision.train.steps import init_state
from tests.tasks.contrastive import AUGMENT, GREY, batch_of, network

IMAGES = jnp.asarray(batch_of()["image"])


def state_at(step: int):
    state = init_state(jax.random.PRNGKey(3), {"params": {}}, {})
    return state.replace(step=jnp.asarray(step))


def views(state, images, axis_name=None):
    return two_views(state, images, AUGMENT, **GREY, axis_name=axis_name)


def test_two_different_views_of_each_image_anew_in_each_step():
    found = np.asarray(jax.jit(views)(state_at(0), IMAGES)).reshape(2, 8, 4, 4, 3)
    assert not np.isclose(found[0], found[1]).all((1, 2, 3)).any()
    assert not np.allclose(found, np.asarray(jax.jit(views)(state_at(1), IMAGES)).reshape(found.shape))
    same = jnp.tile(IMAGES[:1], (8, 1, 1, 1))
    chex.assert_trees_all_close(jax.jit(views)(state_at(0), same).reshape(found.shape)[:, 0], found[:, 0], atol=1e-5)
    assert len(np.unique(np.asarray(jax.jit(views)(state_at(0), same)).round(4), axis=0)) == 16


def test_views_are_normalised_after_the_augmentation():
    flat = jnp.full((2, 6, 6, 3), 200, jnp.uint8)
    found = two_views(state_at(0), flat, lambda keys, images: images, **GREY, axis_name=None)
    np.testing.assert_allclose(found, np.full((4, 6, 6, 3), (200 - 127.5) / 60.0), rtol=1e-5)


def test_two_parts_of_a_photograph_give_one_view_each():
    first, second = jnp.full((2, 6, 6, 3), 100, jnp.uint8), jnp.full((2, 6, 6, 3), 200, jnp.uint8)
    found = two_views(state_at(0), first, lambda keys, images: images, **GREY, axis_name=None, second=second)
    np.testing.assert_allclose(found[:2], np.full((2, 6, 6, 3), (100 - 127.5) / 60.0), rtol=1e-5)
    np.testing.assert_allclose(found[2:], np.full((2, 6, 6, 3), (200 - 127.5) / 60.0), rtol=1e-5)


@pytest.mark.parametrize("count", [2, 4])
def test_devices_draw_the_same_views(count: int):
    whole = np.asarray(jax.jit(views)(state_at(5), IMAGES)).reshape(2, 8, -1)
    run = jax.pmap(partial(views, axis_name="data"), "data", in_axes=(None, 0), devices=jax.devices()[:count])
    found = np.asarray(run(state_at(5), IMAGES.reshape(count, -1, 6, 6, 3))).reshape(count, 2, 8 // count, -1)
    np.testing.assert_allclose(found.transpose(1, 0, 2, 3).reshape(whole.shape), whole, atol=1e-5)


def test_features_are_the_backbones_in_evaluation_mode():
    model, batch = network(), {"image": IMAGES}
    variables = jax.jit(partial(model.init, train=True))(jax.random.PRNGKey(0), normalise(IMAGES, **GREY))
    found = features(model, init_state(jax.random.PRNGKey(0), variables, {}), batch, **GREY)
    alone = {collection: tree["encoder"] for collection, tree in variables.items() if "encoder" in tree}
    expected = model.encoder.apply(alone, normalise(IMAGES, **GREY), train=False)["pool"]
    assert set(found) == {"features"}
    np.testing.assert_allclose(found["features"], expected, rtol=1e-6)
    first = features(model, init_state(jax.random.PRNGKey(0), variables, {}), {"image": IMAGES[:1]}, **GREY)
    np.testing.assert_allclose(first["features"][0], expected[0], rtol=1e-5)


def test_views_are_shown_as_they_are_drawn():
    drawn = np.asarray(jax.jit(views)(state_at(2), IMAGES)).reshape(2, 8, 4, 4, 3) * 60.0 + 127.5
    seen = np.asarray(jax.jit(partial(see_views, augment=AUGMENT))(state_at(2), {"image": IMAGES}))
    assert seen.shape == (8, 2, 4, 4, 3) and seen.dtype == np.uint8
    np.testing.assert_allclose(np.moveaxis(seen, 1, 0), np.clip(drawn, 0, 255), atol=0.6)
