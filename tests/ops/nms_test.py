import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops.dispatch import plain_forms
from jaxvision.ops.nms import nms
from jaxvision.run.program import operations


def plain(function):
    def run(*arguments):
        with plain_forms():
            return jax.jit(function)(*arguments)

    return run


each = pytest.mark.parametrize("run", [jax.jit, plain], ids=["cpu form", "plain form"])


def reference(boxes, scores, threshold, usable=None, classes=None):
    """The greedy loop, O(n²), in float32."""
    usable = np.ones(len(boxes), bool) if usable is None else usable
    classes = np.zeros(len(boxes)) if classes is None else classes
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept = []
    for i in np.argsort(-scores, kind="stable"):
        low = np.maximum(boxes[i, :2], boxes[kept, :2])
        side = np.maximum(np.minimum(boxes[i, 2:], boxes[kept, 2:]) - low, 0)
        shared = side[:, 0] * side[:, 1]
        union = area[i] + area[kept] - shared
        over = (shared > 0) & (shared / np.where(union > 0, union, 1) > np.float32(threshold))
        if usable[i] and not (over & (classes[kept] == classes[i])).any():
            kept.append(i)
    return np.array(kept, int)


def crowded(rng, count):
    """Boxes around few centres, scores of few values: many overlaps, many ties."""
    center = rng.integers(0, 6, (count, 2)) * 20 + rng.normal(scale=3, size=(count, 2))
    half = rng.uniform(5, 15, (count, 2))
    boxes = np.concatenate([center - half, center + half], axis=1).astype(np.float32)
    return boxes, (rng.integers(0, 12, count) / 12).astype(np.float32)


def answer(indices, filled):
    indices, filled = np.asarray(indices), np.asarray(filled)
    assert (np.diff(filled.astype(int)) <= 0).all() and (indices[~filled] == 0).all()
    return indices[filled]


@each
@pytest.mark.parametrize("count", [1, 40, 256, 600])
def test_equals_greedy_suppression(run, count):
    boxes, scores = crowded(np.random.default_rng(count), count)
    found = run(lambda b, s: nms(b, s, iou_threshold=0.4, max_outputs=count))(jnp.array(boxes), jnp.array(scores))
    np.testing.assert_array_equal(answer(*found), reference(boxes, scores, 0.4))


@each
def test_batches_of_classes_and_masks(run):
    rng = np.random.default_rng(1)
    boxes, scores = map(np.stack, zip(*(crowded(rng, 300) for _ in range(3)), strict=True))
    classes, valid = rng.integers(0, 3, (3, 300)), rng.uniform(size=(3, 300)) < 0.8
    valid[1] = False
    indices, filled = run(lambda *a: nms(a[0], a[1], iou_threshold=0.5, max_outputs=50, valid=a[2], classes=a[3]))(
        *map(jnp.array, (boxes, scores, valid, classes))
    )
    assert indices.shape == filled.shape == (3, 50)
    for image in range(3):
        expected = reference(boxes[image], scores[image], 0.5, valid[image], classes[image])[:50]
        np.testing.assert_array_equal(answer(indices[image], filled[image]), expected)
    assert not filled[1].any()


@each
def test_a_long_chain_is_settled_exactly(run):
    start = np.arange(520, dtype=np.float32)[:, None] * 4
    boxes = np.concatenate([start, np.zeros_like(start), start + 10, np.full_like(start, 10)], axis=1)
    scores = np.linspace(1, 0, 520, dtype=np.float32)  # neighbours overlap by 6/14: every second box stays
    found = run(lambda b, s: nms(b, s, iou_threshold=0.4, max_outputs=520))(jnp.array(boxes), jnp.array(scores))
    np.testing.assert_array_equal(answer(*found), np.arange(0, 520, 2))


@pytest.mark.parametrize(("count", "slots", "most"), [(8819, 2000, 8819), (80_000, 100, 0)])
def test_an_accelerator_s_host_waits_for_no_loop_and_little_is_sorted(count, slots, most):
    """RPN's proposals are sorted once, to go through them 32 at a time; a few detections of many boxes are not."""
    shapes = jax.ShapeDtypeStruct((2, count, 4), jnp.float32), jax.ShapeDtypeStruct((2, count), jnp.float32)
    with plain_forms():
        program = jax.make_jaxpr(lambda b, s: nms(b, s, iou_threshold=0.7, max_outputs=slots))(*shapes).jaxpr
    found = operations(program)
    assert found["waits"] == 0 and found["sorted"] == 2 * most


def test_suppression_needs_more_than_the_threshold():
    boxes = jnp.array([[0.0, 0, 2, 1], [0, 0, 1, 1]])  # IoU exactly 0.5
    scores = jnp.array([0.9, 0.8])
    np.testing.assert_array_equal(answer(*nms(boxes, scores, iou_threshold=0.5, max_outputs=2)), [0, 1])
    np.testing.assert_array_equal(answer(*nms(boxes, scores, iou_threshold=0.49, max_outputs=2)), [0])


def test_equal_scores_rank_by_index():
    boxes = jnp.array([[0.0, 0, 10, 10], [0, 0, 10, 9.9], [50, 50, 60, 60]])
    np.testing.assert_array_equal(answer(*nms(boxes, jnp.ones(3), iou_threshold=0.5, max_outputs=3)), [0, 2])


def test_broken_boxes_and_scores_neither_stay_nor_suppress():
    box = [0.0, 0, 10, 10]
    boxes = jnp.array([[jnp.nan, 0, 10, 10], box, box, [0, 0, jnp.inf, 1], [5, 5, 5, 5]])
    scores = jnp.array([0.9, jnp.nan, 0.5, 0.8, 0.1])
    np.testing.assert_array_equal(answer(*nms(boxes, scores, iou_threshold=0.5, max_outputs=9)), [2, 4])


def test_half_precision_boxes_of_many_classes_stay_apart():
    boxes = jnp.array([[0.0, 0, 1000, 1000]] * 90, jnp.bfloat16)
    found = nms(boxes, jnp.ones(90, jnp.bfloat16), iou_threshold=0.5, max_outputs=90, classes=jnp.arange(90))
    np.testing.assert_array_equal(answer(*found), np.arange(90))


@pytest.mark.peer
def test_peer_torchvision_nms():
    torch, ops = pytest.importorskip("torch"), pytest.importorskip("torchvision.ops")
    rng = np.random.default_rng(5)
    for count, threshold in ((100, 0.3), (1000, 0.7), (1000, 0.5)):
        boxes, scores = crowded(rng, count)
        scores += rng.permutation(count).astype(np.float32) * 1e-5  # torch's order of equal scores is not promised
        classes = rng.integers(0, 5, count)
        ours = answer(*nms(jnp.array(boxes), jnp.array(scores), iou_threshold=threshold, max_outputs=count))
        np.testing.assert_array_equal(ours, ops.nms(torch.tensor(boxes), torch.tensor(scores), threshold))
        ours = answer(
            *nms(
                jnp.array(boxes),
                jnp.array(scores),
                iou_threshold=threshold,
                max_outputs=count,
                classes=jnp.array(classes),
            )
        )
        theirs = ops.batched_nms(torch.tensor(boxes), torch.tensor(scores), torch.tensor(classes), threshold)
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.peer
def test_peer_torchvision_nms_with_ties():
    torch, ops = pytest.importorskip("torch"), pytest.importorskip("torchvision.ops")
    boxes, scores = crowded(np.random.default_rng(6), 500)
    ours = answer(*nms(jnp.array(boxes), jnp.array(scores), iou_threshold=0.5, max_outputs=500))
    theirs = ops.nms(torch.tensor(boxes), torch.tensor(scores), 0.5)  # on the CPU its sort is stable
    np.testing.assert_array_equal(ours, theirs)
