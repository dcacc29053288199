import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import boxes

each = pytest.mark.parametrize("run", [jax.jit, lambda f: f], ids=["jit", "eager"])
DEGENERATE = np.array(
    [[0, 0, 0, 0], [5, 5, 5, 9], [9, 9, 4, 4], [-50, -50, 900, 900], [1e6, 1e6, 2e6, 3e6]], np.float32
)


def random_boxes(rng: np.random.Generator, *shape: int, size: float = 100.0) -> np.ndarray:
    corners = rng.uniform(0, size, (*shape, 2, 2))
    return np.concatenate([corners.min(axis=-2), corners.max(axis=-2) + 1], axis=-1).astype(np.float32)


def plain_intersection(a, b):
    return max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)


def plain_area(a):
    return (a[2] - a[0]) * (a[3] - a[1])


@each
def test_overlaps_equal_the_plain_reference(run):
    rng = np.random.default_rng(0)
    first, second = random_boxes(rng, 2, 5), random_boxes(rng, 2, 3)
    expected_iou, expected_share = np.zeros((2, 5, 3)), np.zeros((2, 5, 3))
    for image, i, j in np.ndindex(2, 5, 3):
        a, b = first[image, i].astype(float), second[image, j].astype(float)
        shared = plain_intersection(a, b)
        expected_iou[image, i, j] = shared / (plain_area(a) + plain_area(b) - shared)
        expected_share[image, i, j] = shared / plain_area(a)
    np.testing.assert_allclose(run(boxes.iou)(jnp.array(first), jnp.array(second)), expected_iou, atol=1e-6)
    share = run(boxes.intersection_over_area)(jnp.array(first), jnp.array(second))
    np.testing.assert_allclose(share, expected_share, atol=1e-6)


def test_overlaps_by_hand():
    box, others = jnp.array([[0.0, 0, 2, 2]]), jnp.array([[1.0, 1, 3, 3], [0, 0, 2, 2], [2, 0, 4, 2], [0, 0, 1, 2]])
    np.testing.assert_allclose(boxes.iou(box, others), [[1 / 7, 1, 0, 0.5]], rtol=1e-6)
    np.testing.assert_allclose(boxes.intersection_over_area(box, others), [[0.25, 1, 0, 0.5]])
    np.testing.assert_allclose(boxes.intersection_over_area(others, box), [[0.25], [1], [0], [1]])
    np.testing.assert_array_equal(boxes.area(others), [4, 4, 4, 2])


@each
def test_degenerate_boxes_overlap_nothing_and_have_finite_gradients(run):
    box = jnp.array(DEGENERATE)
    assert (np.asarray(run(boxes.iou)(box, box))[:3] == 0).all()
    assert (np.asarray(run(boxes.intersection_over_area)(box, box))[:3] == 0).all()
    np.testing.assert_array_equal(run(boxes.valid)(box), [False, False, False, True, True])
    for function in (boxes.iou, boxes.intersection_over_area, boxes.encode, boxes.decode):
        gradient = run(jax.grad(lambda a, b, f=function: f(a, b).sum(), argnums=(0, 1)))(box, box)
        chex.assert_tree_all_finite(gradient)
    chex.assert_tree_all_finite(run(boxes.encode)(box, box[::-1]))


@each
def test_decode_inverts_encode(run):
    rng = np.random.default_rng(1)
    box, anchor = jnp.array(random_boxes(rng, 3, 7)), jnp.array(random_boxes(rng, 3, 7))
    weights = (10.0, 10.0, 5.0, 5.0)
    offsets = run(lambda a, b: boxes.encode(a, b, weights))(box, anchor)
    np.testing.assert_allclose(run(lambda a, b: boxes.decode(a, b, weights))(offsets, anchor), box, atol=2e-3)


def test_offsets_by_hand():
    anchor, box = jnp.array([10.0, 10, 30, 50]), jnp.array([15.0, 20, 55, 60])
    expected = [(35 - 20) / 20, (40 - 30) / 40, math.log(2), 0]
    np.testing.assert_allclose(boxes.encode(box, anchor), expected, rtol=1e-6)
    np.testing.assert_allclose(
        boxes.encode(box, anchor, (10.0, 10.0, 5.0, 5.0)), np.multiply(expected, [10, 10, 5, 5]), rtol=1e-6
    )


def test_weights_are_the_released_target_deviations():
    anchor, box = jnp.array([10.0, 10, 30, 50]), jnp.array([15.0, 20, 55, 60])
    normalised = boxes.encode(box, anchor) / jnp.array([0.1, 0.1, 0.2, 0.2])
    np.testing.assert_allclose(boxes.encode(box, anchor, (10.0, 10.0, 5.0, 5.0)), normalised, rtol=1e-6)


def test_decode_limits_the_size():
    anchor = jnp.array([[0.0, 0, 16, 16]])
    huge = boxes.decode(jnp.array([[0.0, 0, 1e4, 88]]), anchor)
    np.testing.assert_allclose(huge[0, 2:] - huge[0, :2], [1000, 1000], rtol=1e-5)
    gradient = jax.grad(lambda o: boxes.decode(o, anchor).sum())(jnp.array([[0.0, 0, 1e4, 1e4]]))
    chex.assert_tree_all_finite(gradient)


@each
def test_clip_and_inside_use_each_image_s_true_size(run):
    box = jnp.array([[[-5.0, 2, 70, 40], [1, 1, 50, 30]]] * 2)
    size = jnp.array([[30.0, 60], [40, 50]])
    np.testing.assert_array_equal(
        run(boxes.clip)(box, size), [[[0, 2, 60, 30], [1, 1, 50, 30]], [[0, 2, 50, 40], [1, 1, 50, 30]]]
    )
    np.testing.assert_array_equal(run(boxes.inside)(box, size), [[False, True], [False, True]])
    np.testing.assert_array_equal(run(boxes.inside)(box[0], jnp.array([30.0, 49])), [False, False])


@each
def test_flip_mirrors_and_is_its_own_inverse(run):
    box = jnp.array([[[0.0, 1, 4, 5], [3, 2, 10, 8]]])
    flipped = run(boxes.flip)(box, jnp.array([10.0]))
    np.testing.assert_array_equal(flipped, [[[6, 1, 10, 5], [0, 2, 7, 8]]])
    np.testing.assert_array_equal(boxes.flip(flipped, jnp.array([10.0])), box)
    np.testing.assert_array_equal(boxes.flip(box[0], jnp.array(10.0)), flipped[0])


def test_valid_asks_for_finite_boxes_of_a_least_size():
    box = jnp.array([[0.0, 0, 16, 16], [0, 0, 15, 40], [0, 0, jnp.nan, 40], [0, 0, jnp.inf, 40]])
    np.testing.assert_array_equal(boxes.valid(box), [True, True, False, False])
    np.testing.assert_array_equal(boxes.valid(box, min_side=16.0), [True, False, False, False])


def test_arithmetic_is_float32_for_half_precision_boxes():
    box = jnp.array([[0.0, 0, 512, 512]], jnp.bfloat16)
    results = (boxes.area(box), boxes.iou(box, box), boxes.encode(box, box), boxes.decode(box * 0, box))
    assert {r.dtype for r in results} == {jnp.dtype("float32")}


@pytest.mark.peer
def test_peer_torchvision_overlaps_and_coder():
    torch = pytest.importorskip("torch")
    detection_utils = pytest.importorskip("torchvision.models.detection._utils")
    ops = pytest.importorskip("torchvision.ops")
    rng = np.random.default_rng(2)
    first, second = random_boxes(rng, 50), random_boxes(rng, 50)
    theirs = ops.box_iou(torch.tensor(first), torch.tensor(second))
    np.testing.assert_allclose(boxes.iou(jnp.array(first), jnp.array(second)), theirs, atol=1e-6)
    for weights in ((1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)):
        coder = detection_utils.BoxCoder(weights)
        offsets = coder.encode_single(torch.tensor(first), torch.tensor(second))
        np.testing.assert_allclose(boxes.encode(jnp.array(first), jnp.array(second), weights), offsets, atol=1e-4)
        large = rng.normal(scale=8, size=(50, 4)).astype(np.float32)
        decoded = coder.decode_single(torch.tensor(large), torch.tensor(second))
        np.testing.assert_allclose(
            boxes.decode(jnp.array(large), jnp.array(second), weights), decoded, rtol=1e-5, atol=1e-3
        )
