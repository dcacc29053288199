"""Which anchors the first stage learns from, against a plain reference."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import anchors as anchor_ops
from jaxvision.ops.proposals import Level
from jaxvision.tasks.proposals import (
    Objects,
    ProposalConfig,
    objects_of,
    proposal_losses,
    proposals_of,
    sample_anchors,
    searched,
)

SIZE = np.array([40, 64], np.float32)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(w, 0) * max(h, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union


def reference(anchors: np.ndarray, boxes: np.ndarray, crowds: np.ndarray, inside_only: bool) -> np.ndarray:
    """1, 0 or -1 for every anchor, one at a time."""
    usable = np.ones(len(anchors), bool)
    if inside_only:
        usable = (anchors[:, :2] >= 0).all(1) & (anchors[:, 2] <= SIZE[1]) & (anchors[:, 3] <= SIZE[0])
    table = np.array([[overlap(a, b) for b in boxes] for a in anchors]).reshape(len(anchors), len(boxes))
    table[~usable] = 0
    label = np.full(len(anchors), -1)
    for i, row in enumerate(table):
        best = row.max(initial=0)
        label[i] = 1 if best >= 0.7 else 0 if best < 0.3 else -1
    for column in table.T:
        if column.max() > 0:
            label[np.isclose(column, column.max(), rtol=1e-6, atol=0)] = 1
    for i, a in enumerate(anchors):
        area = (a[2] - a[0]) * (a[3] - a[1])
        for c in crowds:
            shared = max(min(a[2], c[2]) - max(a[0], c[0]), 0) * max(min(a[3], c[3]) - max(a[1], c[1]), 0)
            if label[i] == 0 and shared / area >= 0.5:
                label[i] = -1
    label[~usable] = -1
    return label


def objects_from(boxes: np.ndarray, crowds: np.ndarray) -> Objects:
    """Objects, then crowds, then an empty slot."""
    every = np.concatenate([boxes, crowds, np.zeros((1, 4))]).astype(np.float32)
    number = np.arange(len(every))
    crowd = (number >= len(boxes)) & (number < len(every) - 1)
    return Objects(*map(jnp.asarray, (every, number.astype(np.int32), number < len(boxes), crowd)))


@pytest.mark.parametrize("inside_only", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_assignment_equals_the_reference(seed: int, inside_only: bool):
    rng = np.random.default_rng(seed)
    anchors = np.asarray(
        anchor_ops.grid(anchor_ops.base_anchors((8.0, 16.0), (0.5, 1.0, 2.0)), (5, 8), (8, 8), offset=0.5)
    )
    corner = rng.uniform(0, 30, (4, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(4, 20, (4, 2))], -1)
    boxes, crowds = boxes[: seed % 4], boxes[3:] * (2.0 if seed % 2 else 1.0)
    config = ProposalConfig(samples=len(anchors), positives=len(anchors), inside_only=inside_only)
    drawn, targets = jax.jit(sample_anchors, static_argnums=4)(
        jax.random.PRNGKey(0), jnp.asarray(anchors), objects_from(boxes, crowds), jnp.asarray(SIZE), config
    )
    expected = reference(anchors, boxes, crowds, inside_only)
    found = np.full(len(anchors), -1)
    used = np.asarray(drawn.used)
    found[np.asarray(drawn.indices)[used]] = np.asarray(drawn.positive)[used]
    np.testing.assert_array_equal(found, expected)
    for index, target in zip(np.asarray(drawn.indices)[drawn.positive], targets[drawn.positive], strict=True):
        own = boxes[np.argmax([overlap(anchors[index], b) for b in boxes])]
        width, height = anchors[index][2:] - anchors[index][:2]
        shift = ((own[:2] + own[2:]) - (anchors[index][:2] + anchors[index][2:])) / 2
        scale = np.log((own[2:] - own[:2]) / [width, height])
        np.testing.assert_allclose(target, [*(shift / [width, height]), *scale], atol=1e-5)


def test_samples_are_bounded():
    anchors = anchor_ops.grid(anchor_ops.base_anchors((8.0,), (1.0,)), (5, 8), (8, 8), offset=0.5)
    config = ProposalConfig(samples=12, positives=2)
    objects = objects_from(np.asarray(anchors[:6]), np.zeros((0, 4)))
    sample = jax.jit(sample_anchors, static_argnums=4)
    drawn, _ = sample(jax.random.PRNGKey(0), anchors, objects, jnp.asarray(SIZE), config)
    assert int(drawn.positive.sum()) == 2 and int(drawn.used.sum()) == 12


def test_objects_without_area_do_not_count():
    nan = float("nan")
    batch = {
        "boxes": jnp.array([[[0, 0, 4, 4], [3, 3, 3, 9], [nan, 0, 1, 1], [0, 0, 8, 8.0]]]),
        "labels": jnp.ones((1, 4), jnp.int32),
        "valid": jnp.array([[True, True, True, True]]),
        "ignore": jnp.array([[False, False, False, True]]),
    }
    objects = objects_of(batch)
    assert objects.real.tolist() == [[True, False, False, False]]
    assert objects.ignored.tolist() == [[False, False, False, True]]
    assert bool(jnp.isfinite(objects.boxes).all())


def level_of(boxes: np.ndarray, logits: np.ndarray) -> Level:
    """One image whose network leaves its anchors where they are."""
    return Level(jnp.asarray(logits)[None], jnp.zeros((1, *boxes.shape)), jnp.asarray(boxes))


def test_the_smallest_side_is_in_pixels_of_the_original():
    boxes = np.array([[0, 0, 20, 20], [30, 0, 60, 12]], np.float32)
    batch = {"size": jnp.asarray(SIZE)[None], "scale": jnp.full((1, 2), 2.0)}
    for min_side, kept in ((5.0, [True, True]), (8.0, [True, False]), (11.0, [False, False])):
        config = dataclasses.replace(ProposalConfig(), test_after_nms=2, min_side=min_side)
        found = proposals_of([level_of(boxes, np.zeros(2, np.float32))], batch, config, train=False)
        assert found.valid.tolist() == [kept]


def test_losses_of_a_sure_network_are_nearly_zero():
    anchors = np.asarray(anchor_ops.grid(anchor_ops.base_anchors((16.0,), (1.0,)), (2, 4), (16, 16), offset=0.5))
    objects = jax.tree.map(lambda a: a[None], objects_from(anchors[:1], np.zeros((0, 4))))
    logits = np.where(np.arange(8) == 0, 20, -20).astype(np.float32)
    keys, size = jax.random.PRNGKey(0)[None], jnp.asarray(SIZE)[None]
    losses = jax.jit(proposal_losses, static_argnums=4)
    good = losses(keys, [level_of(anchors, logits)], objects, size, ProposalConfig())
    bad = losses(keys, [level_of(anchors, -logits)], objects, size, ProposalConfig())
    assert float(good["objectness"]) < 1e-6 and float(good["rpn_box"]) < 1e-6
    np.testing.assert_allclose(bad["objectness"], 20, rtol=1e-5)


def test_searched_proposals_keep_their_order():
    boxes = np.random.default_rng(0).random((2, 4, 4)).astype(np.float32)
    valid = np.array([[True, True, True, False], [False] * 4])
    found = searched({"proposals": boxes, "proposal_valid": valid})
    assert found.scores[0].tolist() == [1.0, 0.75, 0.5, 0.0] and not found.scores[1].any()
    np.testing.assert_array_equal(found.boxes, boxes)
    np.testing.assert_array_equal(found.valid, valid)
