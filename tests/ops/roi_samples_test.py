"""A pyramid read as one table against RoIAlign of every map for itself."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.ops import roi
from jaxvision.ops.dispatch import plain_forms
from jaxvision.run.program import equations, operations

SCALES = [1 / 4, 1 / 8]


def pyramid_and_rois(channels: int = 3) -> tuple[list[jax.Array], jax.Array]:
    rng = np.random.default_rng(4)
    maps = [jnp.array(rng.normal(size=(2, 40 // 2**i, 48 // 2**i, channels)), jnp.float32) for i in range(2)]
    corner, side = rng.uniform(-20, 120, (2, 12, 2)), rng.uniform(10, 500, (2, 12, 2))
    rois = np.concatenate([corner, corner + side], axis=-1).astype(np.float32)
    rois[0, 0], rois[1, 3], rois[1, 4, 2] = np.nan, 7, np.inf
    return maps, jnp.array(rois)


def every_map(maps: list[jax.Array], rois: jax.Array) -> jax.Array:
    """All maps for all RoIs, of which each keeps its own."""
    level = roi.assign_levels(rois, 2, 3) - 2
    each = [roi.roi_align(one, rois, (2, 3), spatial_scale=scale) for one, scale in zip(maps, SCALES, strict=True)]
    return sum(jnp.where((level == i)[..., None, None, None], one, 0) for i, one in enumerate(each))


def own_map(maps: list[jax.Array], rois: jax.Array) -> jax.Array:
    return roi.multilevel_roi_align(maps, rois, (2, 3), spatial_scales=SCALES)


def with_gradient(function, maps, rois):
    weight = jnp.array(np.random.default_rng(5).normal(size=(2, 12, 2, 3, 3)), jnp.float32)

    def total(maps):
        found = function(maps, rois)
        return (found * weight).sum(), found

    (_, found), gradient = jax.jit(jax.value_and_grad(total, has_aux=True))(maps)
    return found, gradient


def test_own_map_alone_gives_what_all_maps_give():
    maps, rois = pyramid_and_rois()
    assert set(np.asarray(roi.assign_levels(rois, 2, 3)).reshape(-1)) == {2, 3}
    expected = with_gradient(every_map, maps, rois)
    assert not np.asarray(expected[0])[0, 0].any()
    for forms in (contextlib.nullcontext, plain_forms):
        with forms():
            found = with_gradient(own_map, maps, rois)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-6), found, expected)


def test_a_pyramid_is_gathered_once_and_scattered_once():
    shapes = jax.eval_shape(lambda: pyramid_and_rois(64))

    def count(function):
        with plain_forms():
            gradient = jax.grad(lambda maps, rois: function(maps, rois).sum())
            program = jax.make_jaxpr(gradient)(*shapes).jaxpr
        scatters = sum(e.primitive.name.startswith("scatter") for e in equations(program))
        return operations(program), scatters

    (own, scatters), (every, twice) = count(own_map), count(every_map)
    assert scatters < twice and own["scattered"] * 2 <= every["scattered"] and own["gathered"] < every["gathered"] * 0.6
