"""Which RoIs the second stage learns from, and the targets of its mask branch."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.ops.proposals import Proposals
from jaxvision.tasks.proposals import Objects
from jaxvision.tasks.regions import RegionConfig, detections_of, first, mask_losses, own_masks, sample_regions

CONFIG = RegionConfig()


def scene() -> tuple[Proposals, Objects]:
    """One object, one crowd; proposals: on the object, beside it, within the crowd, empty slot on the object."""
    boxes = jnp.array([[[10, 10, 30, 30], [60, 10, 80, 30], [12, 62, 20, 70], [10, 10, 30, 30.0]]])
    proposals = Proposals(boxes, jnp.zeros((1, 4)), jnp.array([[True, True, True, False]]))
    objects = Objects(
        jnp.array([[[11, 10, 31, 30], [0, 50, 40, 90], [0, 0, 0, 0.0]]]),
        jnp.array([[3, 1, 0]]),
        jnp.array([[True, False, False]]),
        jnp.array([[False, True, False]]),
    )
    return proposals, objects


def test_objects_join_the_proposals_and_crowds_are_spared():
    proposals, objects = scene()
    regions = sample_regions(jax.random.PRNGKey(0)[None], proposals, objects, RegionConfig(samples=6, positives=3))
    used = np.asarray(regions.used[0])
    assert used.sum() == 3 and np.asarray(regions.positive[0]).tolist() == [True, True] + [False] * 4
    found = {
        tuple(map(float, box)): int(k) for box, k in zip(regions.boxes[0][used], regions.labels[0][used], strict=True)
    }
    assert found == {(10, 10, 30, 30): 3, (11, 10, 31, 30): 3, (60, 10, 80, 30): 0}
    own = [i for i, box in enumerate(regions.boxes[0]) if box[0] == 10 and used[i]]
    np.testing.assert_allclose(regions.targets[0][own[0]], [0.5, 0, 0, 0], atol=1e-5)  # 1/20 of the width, times 10


def test_background_far_from_every_object_may_be_left_out():
    """Of overlaps 1, 0.74, 0.33, 0.05 and 0: hard negatives lie in [0.1, 0.5) (Girshick 2015, section 2.3)."""
    boxes = jnp.array([[[10, 10, 30, 30], [13, 10, 33, 30], [20, 10, 40, 30], [28, 10, 48, 30], [60, 60, 70, 70.0]]])
    proposals = Proposals(boxes, jnp.zeros((1, 5)), jnp.ones((1, 5), bool))
    objects = Objects(boxes[:, :1], jnp.array([[2]]), jnp.ones((1, 1), bool), jnp.zeros((1, 1), bool))
    config = RegionConfig(background_iou=0.1, samples=6, positives=3)
    regions = sample_regions(jax.random.PRNGKey(0)[None], proposals, objects, config)
    used = np.asarray(regions.used[0])
    assert sorted(np.asarray(regions.boxes[0, :, 0])[used].tolist()) == [10, 10, 13, 20]
    empty = objects._replace(real=jnp.zeros((1, 1), bool))
    regions = sample_regions(jax.random.PRNGKey(0)[None], proposals, empty, config)
    assert regions.used[0].sum() == 5 and not regions.positive.any()


def test_positives_come_first():
    proposals, objects = scene()
    regions = sample_regions(jax.random.PRNGKey(1)[None], proposals, objects, RegionConfig(samples=6, positives=2))
    assert first(regions, 2).positive.all() and first(regions, 2).boxes.shape == (1, 2, 4)


def test_a_perfect_mask_costs_nothing():
    proposals, objects = scene()
    regions = first(
        sample_regions(jax.random.PRNGKey(0)[None], proposals, objects, RegionConfig(samples=6, positives=3)), 3
    )
    crops = np.zeros((1, 3, 8, 8), np.uint8)
    crops[0, 0, :4] = 255  # the upper half of the object
    upper = np.where(np.arange(14) < 7, 30.0, -30.0)
    logits = np.zeros((1, 3, 14, 14, 4), np.float32)
    logits[..., 3] = upper[None, None, :, None]
    own = np.asarray(regions.boxes[0, :, 0] == 11)
    exact = regions._replace(positive=regions.positive & jnp.asarray(own)[None])
    assert float(mask_losses(jnp.asarray(logits), jnp.asarray(crops), objects, exact, CONFIG)["mask"]) < 1e-6
    wrong = mask_losses(jnp.asarray(-logits), jnp.asarray(crops), objects, exact, CONFIG)
    np.testing.assert_allclose(wrong["mask"], 30, rtol=1e-5)
    unknown = jnp.zeros(objects.real.shape, bool)  # no object has an outline: boxes only
    given = jnp.asarray(-logits), jnp.asarray(crops), objects, exact, CONFIG
    assert float(mask_losses(*given, unknown)["mask"]) == 0
    softmax = dataclasses.replace(CONFIG, masks="softmax")
    logits[..., 0] = -logits[..., 3]  # the background's, where the object is not
    assert float(mask_losses(jnp.asarray(logits), *given[1:4], softmax)["mask"]) < 1e-6


def test_detections_use_the_offsets_of_their_class():
    proposals, _ = scene()
    logits = np.zeros((1, 4, 3), np.float32)
    logits[0, 0, 2] = logits[0, 3, 1] = 9
    logits[0, 1:3, 0] = 9
    offsets = np.zeros((1, 4, 3, 4), np.float32)
    offsets[0, 0, 2, 0] = 5.0  # half a width, after division by 10
    found = detections_of(
        jnp.asarray(logits), jnp.asarray(offsets), proposals, jnp.array([[100, 100.0]]), RegionConfig(detections=4)
    )
    assert found.valid.tolist() == [[True, False, False, False]] and found.labels[0, 0] == 2
    np.testing.assert_allclose(found.boxes[0, 0], [20, 10, 40, 30], atol=1e-4)


def test_a_mask_is_the_channel_of_its_class():
    logits = jnp.asarray(np.random.default_rng(0).normal(size=(1, 2, 3, 3, 4)).astype(np.float32))
    found = own_masks(logits, jnp.array([[2, 0]]), CONFIG)
    np.testing.assert_allclose(found[0, 0], jax.nn.sigmoid(logits[0, 0, ..., 2]), rtol=1e-6)
    np.testing.assert_allclose(found[0, 1], jax.nn.sigmoid(logits[0, 1, ..., 0]), rtol=1e-6)
    shares = own_masks(logits, jnp.array([[2, 0]]), dataclasses.replace(CONFIG, masks="softmax"))
    np.testing.assert_allclose(shares[0, 0], jax.nn.softmax(logits[0, 0])[..., 2], rtol=1e-5)
