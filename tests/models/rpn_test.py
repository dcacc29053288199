import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.rpn import RPN, Anchors
from jaxvision.ops import anchors as anchor_ops

ANCHORS = Anchors(((8.0, 12.0), (16.0, 24.0)), (0.5, 1.0), offset=0.5)
MAPS = [jnp.asarray(np.random.default_rng(i).normal(size=(2, 8 >> i, 12 >> i, 5)).astype(np.float32)) for i in (0, 1)]


def test_one_head_over_all_maps():
    model = RPN(6, ANCHORS)
    variables = model.init(jax.random.PRNGKey(0), MAPS, (64, 96))
    levels = model.apply(variables, MAPS, (64, 96))
    assert set(variables["params"]) == {"conv", "objectness", "offsets"}
    assert [(x.logits.shape, x.offsets.shape, x.anchors.shape) for x in levels] == [
        ((2, 384), (2, 384, 4), (384, 4)),
        ((2, 96), (2, 96, 4), (96, 4)),
    ]
    shapes = jax.eval_shape(
        lambda key: RPN().init(key, [jnp.zeros((1, 8, 8, 256))] * 5, (64, 64)), jax.random.PRNGKey(0)
    )
    assert sum(int(np.prod(s.shape)) for s in jax.tree.leaves(shapes)) == 593_935


def test_output_order_is_the_anchors_order():
    """A network that sees one cell only answers at that cell's anchors."""
    model = RPN(6, ANCHORS)
    variables = model.init(jax.random.PRNGKey(0), MAPS, (64, 96))
    variables["params"]["conv"]["kernel"] = variables["params"]["conv"]["kernel"].at[:].set(0).at[1, 1].set(1.0)
    x = jnp.zeros((1, 8, 12, 5)).at[0, 3, 7].set(1.0)
    level = model.apply(variables, [x, jnp.zeros((1, 4, 6, 5))], (64, 96))[0]
    lit = np.flatnonzero(np.asarray(level.logits[0]))
    assert lit.tolist() == list(range((3 * 12 + 7) * 4, (3 * 12 + 7) * 4 + 4))
    centers = (level.anchors[lit, :2] + level.anchors[lit, 2:]) / 2
    np.testing.assert_allclose(centers, np.tile([[7.5 * 8, 3.5 * 8]], (4, 1)), atol=1e-4)
    moved = np.flatnonzero(np.asarray(level.offsets[0]).any(-1))
    assert set(moved) <= set(lit)


def test_anchors_of_py_faster_rcnn():
    anchors = Anchors(((128.0, 256.0, 512.0),), legacy=True)
    (found,) = anchors.on((32, 48), [(2, 3)])
    assert anchors.per_cell == 9 and found.shape == (54, 4)
    np.testing.assert_allclose(found[:9], anchor_ops.legacy_base_anchors())


def test_sizes_must_fit_the_maps():
    with pytest.raises(ValueError, match="sizes for 2 maps, but there are 1"):
        ANCHORS.on((64, 96), [(8, 12)])
    with pytest.raises(ValueError, match="same number of sizes"):
        Anchors(((8.0,), (16.0, 24.0))).on((64, 96), [(8, 12), (4, 6)])
