import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.ops.proposals import Level, propose


def level(boxes: list, logits: list) -> Level:
    """One image; the anchors are the boxes."""
    anchors = jnp.asarray(boxes, jnp.float32)
    return Level(jnp.asarray([logits], jnp.float32), jnp.zeros((1, *anchors.shape)), anchors)


SIZE = jnp.array([[50.0, 100.0]])
NUMBERS = {"before_nms": 10, "after_nms": 4, "iou_threshold": 0.7, "min_side": jnp.array([1.0])}


def test_best_first_clipped_and_thinned_out():
    found = propose(
        [level([[0, 0, 20, 20], [1, 0, 21, 20], [40, 40, 80, 80], [200, 0, 220, 20]], [1, 2, 3, 9])], SIZE, **NUMBERS
    )
    assert found.valid.tolist() == [[True, True, False, False]]  # one overlaps, one lies outside the image
    np.testing.assert_allclose(found.boxes[0, :2], [[40, 40, 80, 50], [1, 0, 21, 20]], atol=1e-5)
    np.testing.assert_allclose(found.scores[0, :2], jax.nn.sigmoid(jnp.array([3.0, 2.0])), rtol=1e-6)


def test_levels_do_not_suppress_each_other_and_have_their_own_best():
    one = level([[0, 0, 20, 20], [50, 0, 70, 20]], [1, 2])
    other = level([[0, 0, 20, 20], [50, 0, 70, 20]], [-1, -2])
    found = propose([one, other], SIZE, **{**NUMBERS, "before_nms": 1})
    assert found.valid.tolist() == [[True, True, False, False]]
    np.testing.assert_allclose(found.boxes[0, :2], [[50, 0, 70, 20], [0, 0, 20, 20]], atol=1e-5)


def test_small_boxes_and_nans_are_dropped():
    found = propose([level([[0, 0, 5, 0.5], [np.nan, 0, 9, 9], [0, 0, 9, 9]], [3, 2, 1])], SIZE, **NUMBERS)
    assert found.valid.tolist() == [[True, False, False, False]]
    np.testing.assert_allclose(found.boxes[0, 0], [0, 0, 9, 9], atol=1e-5)


def test_offsets_move_the_anchors():
    moved = level([[0, 0, 20, 20]], [0])._replace(offsets=jnp.array([[[1.0, 0.5, 0.0, 0.0]]]))
    np.testing.assert_allclose(propose([moved], SIZE, **NUMBERS).boxes[0, 0], [20, 10, 40, 30], atol=1e-5)


def test_no_gradient_passes():
    def total(logits: jax.Array, offsets: jax.Array) -> jax.Array:
        found = propose([Level(logits, offsets, jnp.array([[0.0, 0, 20, 20]]))], SIZE, **NUMBERS)
        return found.boxes.sum() + found.scores.sum()

    gradients = jax.grad(total, (0, 1))(jnp.ones((1, 1)), jnp.ones((1, 1, 4)))
    assert not any(g.any() for g in gradients)
