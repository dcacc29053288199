"""A two-stage detector learns, whatever is or is not in the images, and on any number of devices."""

import dataclasses
from functools import cache

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.evals.coco_ap import coco_ap
from jaxvision.models.faster_rcnn import resnet_c4, resnet_fpn, vgg16
from jaxvision.models.norms import GroupNorm
from jaxvision.models.resnet import BLOCKS
from jaxvision.models.rpn import Anchors
from jaxvision.ops.boxes import iou
from jaxvision.tasks.detection import detection
from jaxvision.train import devices
from jaxvision.train.optim import Optimizer
from jaxvision.train.steps import example_keys, only
from jaxvision.train.types import TrainState
from tests.tasks import tiny
from tests.tasks.training import ONE, train

LOSSES = {"objectness", "rpn_box", "classifier", "box", "mask"}


@cache
def start() -> TrainState:
    return jax.jit(tiny.task_of().init)(jax.random.PRNGKey(0), tiny.batch_of())


traces: list[int] = []  # one entry for each time that the step of `compiled` was traced


@cache
def compiled():
    def step(state, batch):
        traces.append(1)
        return tiny.task_of().step(state, batch)

    return jax.jit(step)


@cache
def trained() -> TrainState:
    state = start()
    for _ in range(200):
        state, _ = compiled()(state, tiny.batch_of())
    return state


@cache
def on_one_device():
    """State and metrics after three steps."""
    state = start()
    for _ in range(3):
        state, metrics = compiled()(state, tiny.batch_of())
    return devices.to_host((state, metrics))


@cache
def predicted() -> dict:
    return devices.compile_predict(tiny.task_of(), ONE)(trained(), tiny.batch_of())


def test_overfits_four_images():
    metric, batch = coco_ap(("background", "a", "b", "c"), masks=True), tiny.batch_of()
    found = metric.result(metric.update(metric.init(), predicted(), batch))
    assert found["AP50"] >= 0.99 and found["mask_AP50"] >= 0.99, found
    for row in range(4):
        count = batch["valid"][row].sum()
        best = iou(*map(jnp.asarray, (batch["boxes"][row, :count], predicted()["proposals"][row]))).max(-1)
        assert best.min() > 0.6


def test_detections_are_padded_best_first():
    outputs = predicted()
    valid, scores = outputs["valid"], outputs["scores"]
    assert (np.diff(scores, axis=1) <= 0).all() and (np.diff(valid.astype(int), axis=1) <= 0).all()
    assert not outputs["labels"][~valid].any() and not outputs["boxes"][~valid].any()
    assert (outputs["labels"][valid] >= 1).all() and (scores[valid] > 0.05).all()
    assert outputs["masks"].shape == (4, 8, 14, 14)


def test_an_image_alone_and_in_a_batch_gives_the_same():
    outputs, batch = predicted(), tiny.batch_of()
    alone = jax.jit(tiny.task_of().predict)(trained(), {k: v[2:3] for k, v in batch.items()})
    chex.assert_trees_all_close(alone, {k: v[2:3] for k, v in outputs.items()}, atol=1e-4)


def test_metrics_name_every_loss():
    _, metrics = compiled()(start(), tiny.batch_of())
    assert set(metrics) == {"loss"} | {f"loss_{name}" for name in LOSSES}
    np.testing.assert_allclose(metrics["loss"], sum(float(metrics[f"loss_{name}"]) for name in LOSSES), rtol=1e-5)


def test_images_without_objects_are_ordinary():
    batch = tiny.batch_of()
    batch["valid"] = np.zeros_like(batch["valid"])
    batch["boxes"][:] = np.nan
    state, metrics = compiled()(start(), batch)
    for name in ("rpn_box", "box", "mask"):
        assert float(metrics[f"loss_{name}"]) == 0.0
    assert float(metrics["loss_objectness"]) > 0 and float(metrics["loss_classifier"]) > 0
    chex.assert_tree_all_finite(state.params)


@pytest.mark.parametrize("spoil", tiny.ODD_OBJECTS)
def test_odd_objects_keep_everything_finite(spoil):
    batch = tiny.batch_of()
    spoil(batch)
    state, metrics = compiled()(start(), batch)
    chex.assert_tree_all_finite((state.params, metrics))


def test_degenerate_boxes_change_nothing():
    batch = tiny.batch_of()
    spoiled = tiny.batch_of()
    for row in (0, 2):
        spoiled["boxes"][row, 1] = [9, 9, 9, 9]
        spoiled["valid"][row, 1] = True
    chex.assert_trees_all_equal(compiled()(start(), batch)[1], compiled()(start(), spoiled)[1])


@pytest.mark.long
def test_five_hundred_objects():
    batch, rng = tiny.batch_of(rows=2, objects=500), np.random.default_rng(1)
    corner = rng.uniform(0, 28, (2, 500, 2))
    batch["boxes"] = np.concatenate([corner, corner + rng.uniform(0.1, 8, (2, 500, 2))], -1).astype(np.float32)
    batch["labels"] = rng.integers(1, tiny.CLASSES, (2, 500)).astype(np.int32)
    batch["valid"][:] = True
    state, metrics = jax.jit(tiny.task_of().step)(start(), batch)
    chex.assert_tree_all_finite((state.params, metrics))


@pytest.mark.long
@pytest.mark.parametrize(("mode", "count"), [("pmap", 4), ("jit", 2)])
def test_devices_agree(mode: str, count: int):
    batch = tiny.batch_of()
    where = devices.choose(mode, jax.devices()[:count])
    found = train(tiny.task_of(), batch, 3, where)
    chex.assert_trees_all_close(devices.to_host(found), on_one_device(), atol=2e-5)
    outputs = devices.compile_predict(tiny.task_of(), where)(devices.place(trained(), where), batch)
    chex.assert_trees_all_close(outputs, predicted(), atol=1e-4)


def test_compiles_once():
    batch = tiny.batch_of()
    state, _ = compiled()(start(), batch)
    compiled()(state, {**batch, "valid": np.zeros_like(batch["valid"])})
    assert len(traces) == 1  # whatever the tests before gave it


def test_steps_of_alternating_training_move_their_own_parameters():
    batch = tiny.batch_of()
    rpn = tiny.task_of(stages=("proposals",), trainable=lambda path: path.startswith("rpn/"), masks=False)
    heads = tiny.task_of(stages=("regions",), trainable=lambda path: path.startswith("box_head/"), masks=False)
    for task, part, losses in ((rpn, "rpn", {"objectness", "rpn_box"}), (heads, "box_head", {"classifier", "box"})):
        before = jax.jit(task.init)(jax.random.PRNGKey(0), batch)
        after, metrics = jax.jit(task.step)(before, batch)
        assert set(metrics) == {"loss"} | {f"loss_{name}" for name in losses}
        for name in before.params:
            same = jax.tree.map(lambda a, b: bool((a == b).all()), before.params[name], after.params[name])
            assert all(jax.tree.leaves(same)) == (name != part), name


@pytest.mark.long
def test_proposals_of_another_network():
    batch = tiny.batch_of()
    task = tiny.task_of(stages=("regions",), origin="proposer")
    state = jax.jit(task.init)(jax.random.PRNGKey(1), batch)
    state = state.replace(aux={"proposer": {"params": trained().params}})
    outputs = jax.jit(task.predict)(state, batch)
    np.testing.assert_allclose(outputs["proposals"], predicted()["proposals"], atol=1e-4)
    after, metrics = jax.jit(task.step)(state, batch)
    chex.assert_tree_all_finite(metrics)
    chex.assert_trees_all_equal(after.aux, state.aux)


def searched_batch() -> dict[str, np.ndarray]:
    """With proposals: each object moved a little, boxes at random, and empty slots."""
    batch, rng = tiny.batch_of(), np.random.default_rng(1)
    corner = rng.uniform(0, tiny.SIZE - 12, (4, 14, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(6, 12, (4, 14, 2))], axis=-1).astype(np.float32)
    moved = batch["boxes"] + rng.uniform(-1, 1, batch["boxes"].shape).astype(np.float32)
    boxes[:, :3] = np.where(batch["valid"][..., None], moved, boxes[:, :3])
    valid = np.arange(14)[None] < np.array([[14], [13], [12], [14]])
    return {**batch, "proposals": boxes, "proposal_valid": valid}


@cache
def fast(steps: int):
    model, tx = (
        tiny.network(masks=False).clone(rpn=None),
        Optimizer(lr=0.05, clip_norm=5.0, schedule="cosine", warmup_steps=5).make(steps),
    )
    detecting = dataclasses.replace(tiny.DETECTING, background_iou=0.1)
    return detection(model, tx, **tiny.GREY, detecting=detecting, stages=("regions",), origin="batch")


@pytest.mark.long
def test_fast_rcnn_overfits_four_images():
    batch, task = searched_batch(), fast(200)
    state, metrics = train(task, batch, 200)
    assert set(state.params) == {"backbone", "box_head"} and set(metrics) == {"loss", "loss_classifier", "loss_box"}
    outputs, metric = devices.compile_predict(task, ONE)(state, batch), coco_ap(("background", "a", "b", "c"))
    assert metric.result(metric.update(metric.init(), outputs, batch))["AP50"] >= 0.95
    np.testing.assert_array_equal(outputs["proposals"], batch["proposals"])


@pytest.mark.parametrize("mode", ["pmap", pytest.param("jit", marks=pytest.mark.long)])
def test_fast_rcnn_on_several_devices(mode: str):
    batch = searched_batch()
    where = devices.choose(mode, jax.devices()[:2])
    found, expected = train(fast(200), batch, 3, where), train(fast(200), batch, 3)
    chex.assert_trees_all_close(devices.to_host(found), devices.to_host(expected), atol=2e-5)


def test_without_proposals_nothing_is_found_and_all_stays_finite():
    batch, task = searched_batch(), fast(200)
    batch["proposal_valid"] = np.zeros_like(batch["proposal_valid"])
    state = jax.jit(task.init)(jax.random.PRNGKey(0), batch)
    state, metrics = jax.jit(task.step)(state, batch)
    chex.assert_tree_all_finite((state.params, metrics))
    assert not jax.jit(task.predict)(state, batch)["valid"].any()


@pytest.mark.long
@pytest.mark.parametrize("name", ["vgg16", "c4"])
def test_the_other_networks_learn_and_predict(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(BLOCKS, 50, (1, 1, 1, 1))  # C4 needs bottlenecks, and not as many
    anchors = Anchors(((16.0, 32.0),), (1.0,))
    model = vgg16(4, width=0.0625, anchors=anchors)
    if name == "c4":
        model = resnet_c4(4, width=0.0625, masks=True, anchors=anchors, norm=GroupNorm)
    tx = Optimizer(lr=0.01).make(10)
    task = detection(model, tx, **tiny.GREY, proposing=tiny.PROPOSING, detecting=tiny.DETECTING)
    batch = tiny.batch_of(rows=2)
    state = devices.initial(task, jax.random.PRNGKey(0), batch)
    after, metrics = jax.jit(task.step)(state, batch)
    chex.assert_tree_all_finite((after.params, metrics))
    outputs = jax.jit(task.predict)(after, batch)
    assert outputs["boxes"].shape == (2, 8, 4) and ("masks" in outputs) == (name == "c4")


def test_batch_statistics_stay_with_a_frozen_backbone():
    """Only the backbone has batch norm here."""
    model = resnet_fpn(4, depth=10, width=0.0625, anchors=Anchors(((8.0,),) * 5, (1.0,)))
    tx, batch = Optimizer(lr=0.01).make(10), tiny.batch_of(rows=2)
    fields = {**tiny.GREY, "proposing": tiny.PROPOSING, "detecting": tiny.DETECTING}
    task = detection(model, tx, **fields, stages=("proposals",), trainable=lambda path: path.startswith("rpn/"))
    state = devices.initial(task, jax.random.PRNGKey(0), batch)
    after, _ = jax.jit(task.step)(state, batch)
    chex.assert_trees_all_equal(after.model_state, state.model_state)


def test_frozen_parameters_do_not_decay():
    tx = only(Optimizer(weight_decay=0.1).make(10), lambda path: path == "a")
    params = {"a": jnp.ones((2, 2)), "b": jnp.ones((2, 2))}
    updates, _ = tx.update(jax.tree.map(jnp.zeros_like, params), tx.init(params), params, value=jnp.zeros(()))
    assert updates["a"].any() and not updates["b"].any()


def test_keys_differ_by_row_and_step():
    state = start()
    keys = np.concatenate([example_keys(state, 4, None), example_keys(state.replace(step=state.step + 1), 4, None)])
    assert len(np.unique(keys, axis=0)) == 8
