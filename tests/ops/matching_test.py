import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import boxes, matching
from jaxvision.ops.matching import IGNORED, NEGATIVE, POSITIVE

each = pytest.mark.parametrize("run", [jax.jit, lambda f: f], ids=["jit", "eager"])


def reference(iou, objects, low, high, best_for_object):
    """The definition, box by box."""
    label, target = [], []
    real = np.flatnonzero(objects)
    for row in iou:
        best = max((row[j] for j in real), default=-1)
        target.append(next((j for j in real if row[j] == best), 0))
        label.append(POSITIVE if best >= high else NEGATIVE if best < low else IGNORED)
    for j in real if best_for_object else ():
        for i in range(len(iou)):
            if iou[i, j] == iou[:, j].max() > 0:
                label[i] = POSITIVE
    return np.array(target), np.array(label)


@each
@pytest.mark.parametrize("best_for_object", [False, True])
def test_equals_the_reference_with_ties_and_padding(run, best_for_object):
    rng = np.random.default_rng(0)
    iou = (rng.integers(0, 11, (6, 40, 5)) / 10).astype(np.float32)  # tenths, so ties abound
    objects = rng.uniform(size=(6, 5)) < 0.7
    objects[0] = False
    found = run(lambda i, o: matching.match(i, o, low=0.3, high=0.7, best_for_object=best_for_object))(
        jnp.array(iou), jnp.array(objects)
    )
    for image in range(6):
        target, label = reference(iou[image], objects[image], np.float32(0.3), np.float32(0.7), best_for_object)
        np.testing.assert_array_equal(found.label[image], label)
        np.testing.assert_array_equal(found.target[image][label == POSITIVE], target[label == POSITIVE])


def test_all_boxes_tied_at_an_objects_best_are_positive_and_keep_their_own_target():
    iou = jnp.array([[0.4, 0.1], [0.4, 0.5], [0.2, 0.9], [0.0, 0.0]])
    found = matching.match(iou, jnp.array([True, True]), low=0.3, high=0.7, best_for_object=True)
    np.testing.assert_array_equal(found.label, [POSITIVE, POSITIVE, POSITIVE, NEGATIVE])
    np.testing.assert_array_equal(found.target[:3], [0, 1, 1])


def test_ties_survive_rounding():
    iou = jnp.array([[0.5], [0.49999997]])
    found = matching.match(iou, jnp.array([True]), low=0.3, high=0.7, best_for_object=True)
    np.testing.assert_array_equal(found.label, [POSITIVE, POSITIVE])


def test_an_object_that_nothing_overlaps_forces_nothing():
    found = matching.match(jnp.zeros((5, 2)), jnp.array([True, True]), low=0.3, high=0.7, best_for_object=True)
    np.testing.assert_array_equal(found.label, [NEGATIVE] * 5)


@each
def test_without_objects_all_are_negative(run):
    found = run(lambda i, o: matching.match(i, o, low=0.3, high=0.7, best_for_object=True))(
        jnp.ones((5, 2)), jnp.array([False, False])
    )
    np.testing.assert_array_equal(found.label, [NEGATIVE] * 5)


def test_unusable_boxes_are_ignored_and_are_no_objects_best():
    iou, objects = jnp.array([[0.6], [0.4], [0.1]]), jnp.array([True])
    usable = jnp.array([False, True, True])
    found = matching.match(iou, objects, low=0.3, high=0.7, best_for_object=True, usable=usable)
    np.testing.assert_array_equal(found.label, [IGNORED, POSITIVE, NEGATIVE])


@each
def test_small_negatives_in_a_crowd_are_ignored(run):
    crowd = jnp.array([[0.0, 0, 100, 100], [0, 0, 300, 300]])
    box = jnp.array([[10.0, 10, 20, 20], [90, 0, 110, 10], [95, 0, 115, 10], [10, 10, 20, 20]])
    assert boxes.iou(box, crowd)[0, 0] < 0.05
    label = jnp.array([NEGATIVE, NEGATIVE, NEGATIVE, POSITIVE])
    found = run(matching.ignore_covered)(label, box, crowd, jnp.array([True, False]))
    np.testing.assert_array_equal(found, [IGNORED, IGNORED, NEGATIVE, POSITIVE])


def test_shapes_with_leading_dimensions():
    found = matching.match(jnp.zeros((2, 3, 7, 4)), jnp.zeros((2, 3, 4), bool), low=0.5, high=0.5)
    chex.assert_shape([found.target, found.label], (2, 3, 7))


@pytest.mark.peer
@pytest.mark.parametrize("best_for_object", [False, True])
def test_peer_torchvision_matcher(best_for_object):
    torch = pytest.importorskip("torch")
    utils = pytest.importorskip("torchvision.models.detection._utils")
    rng = np.random.default_rng(3)
    iou = (rng.integers(1, 100, (200, 6)) / 100).astype(np.float32)
    theirs = utils.Matcher(0.7, 0.3, best_for_object)(torch.tensor(iou.T)).numpy()
    ours = matching.match(jnp.array(iou), jnp.ones(6, bool), low=0.3, high=0.7, best_for_object=best_for_object)
    np.testing.assert_array_equal(np.where(theirs >= 0, 1, np.where(theirs == -1, 0, -1)), ours.label)
    np.testing.assert_array_equal(theirs[theirs >= 0], np.asarray(ours.target)[theirs >= 0])
