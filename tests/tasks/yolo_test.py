"""YOLO learns, whatever is or is not in the images, and on any number of devices."""

from functools import cache

import chex
import flax.linen as nn
import jax
import numpy as np
import pytest

from jaxvision.evals.coco_ap import coco_ap
from jaxvision.losses.cells import cells_loss, responsible
from jaxvision.models.yolo import YOLO
from jaxvision.ops.cells import Cells, Targets
from jaxvision.tasks.yolo import Reporting, cells_of, targets_of, yolo
from jaxvision.train import devices
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Task, TrainState
from tests.tasks import tiny
from tests.tasks.training import ONE, train

LOSSES = {"center", "size", "object", "no_object", "class"}


@cache
def task_of(steps: int = 300, dropout: float = 0.0) -> Task:
    model = YOLO(tiny.CLASSES, net="fast", grid=4, width=1 / 32, stride=8, dropout=dropout)
    tx = Optimizer("adam", lr=0.003, clip_norm=2.5, schedule="cosine", warmup_steps=5).make(steps)
    return yolo(model, tx, **tiny.GREY, reporting=Reporting(detections=8))


def batch_of() -> dict[str, np.ndarray]:
    return {key: value for key, value in tiny.batch_of().items() if key != "masks"}


@cache
def start() -> TrainState:
    return devices.initial(task_of(), jax.random.PRNGKey(0), batch_of())


traces: list[int] = []  # one entry for each time that the step of `compiled` was traced


@cache
def compiled():
    def step(state, batch):
        traces.append(1)
        return task_of().step(state, batch)

    return jax.jit(step)


def trained_for(steps: int) -> tuple[TrainState, dict]:
    state = start()
    for _ in range(steps):
        state, metrics = compiled()(state, batch_of())
    return state, metrics


@cache
def trained() -> tuple[TrainState, dict]:
    return trained_for(300)


@cache
def on_one_device():
    return devices.to_host(trained_for(3))


@cache
def predicted() -> dict:
    return devices.compile_predict(task_of(), ONE)(trained()[0], batch_of())


def test_overfits_four_images():
    metric = coco_ap(("background", "a", "b", "c"))
    found = metric.result(metric.update(metric.init(), predicted(), batch_of()))
    assert found["AP50"] >= 0.99 and found["AP"] >= 0.7, found
    assert float(trained()[1]["iou"]) > 0.8


def test_detections_are_padded_best_first():
    outputs = predicted()
    valid, scores = outputs["valid"], outputs["scores"]
    assert valid.shape == (4, 8) and outputs["boxes"].shape == (4, 8, 4)
    assert (np.diff(scores, axis=1) <= 0).all() and (np.diff(valid.astype(int), axis=1) <= 0).all()
    assert not outputs["labels"][~valid].any() and not outputs["boxes"][~valid].any()
    assert (outputs["labels"][valid] >= 1).all() and (scores[valid] > 0.01).all()


def test_the_grid_is_in_pixels_and_its_responsible_boxes_are_the_detections():
    outputs, batch = predicted(), batch_of()
    assert outputs["cell_classes"].shape == (4, 4, 4, 3) and outputs["cell_confidence"].shape == (4, 4, 4, 2)
    occupied = np.asarray(jax.jit(targets_of, static_argnums=1)(batch, 4).occupied)
    assert occupied.sum() == batch["valid"].sum()
    surest = outputs["cell_boxes"][np.arange(4), ..., :][
        np.arange(4), *np.unravel_index(outputs["cell_confidence"].reshape(4, -1).argmax(1), (4, 4, 2))
    ]
    np.testing.assert_allclose(np.clip(surest, 0, tiny.SIZE), outputs["boxes"][:, 0], atol=1e-3)


def test_an_image_alone_and_in_a_batch_gives_the_same():
    alone = jax.jit(task_of().predict)(trained()[0], {k: v[2:3] for k, v in batch_of().items()})
    chex.assert_trees_all_close(alone, {k: v[2:3] for k, v in predicted().items()}, atol=1e-4)


def test_metrics_name_every_loss():
    _, metrics = compiled()(start(), batch_of())
    assert set(metrics) == {"loss", "iou"} | {f"loss_{name}" for name in LOSSES}
    np.testing.assert_allclose(metrics["loss"], sum(float(metrics[f"loss_{name}"]) for name in LOSSES), rtol=1e-5)


def darknets_step(cells: Cells, targets: Targets, coord: float = 5.0, no_object: float = 0.5) -> Cells:
    """What darknet adds to the outputs, before lr: the errors themselves, each times its factor; a mean over images."""
    chosen, overlap = (np.asarray(array) for array in responsible(cells, targets))
    truth = np.eye(cells.classes.shape[-1])[np.maximum(np.asarray(targets.labels) - 1, 0)]
    occupied, ignored = (np.asarray(array)[..., None] for array in (targets.occupied, targets.ignored))
    classes = np.where(occupied, truth - cells.classes, 0)
    absent = np.where(ignored, 0, no_object * (0 - np.asarray(cells.confidence)))
    confidence = np.where(chosen, overlap - cells.confidence, absent)
    boxes = np.where(chosen[..., None], coord * (np.asarray(targets.boxes)[..., None, :] - cells.boxes), 0)
    return Cells(*(np.asarray(step, np.float32) / len(truth) for step in (classes, confidence, boxes)))


class Outputs(nn.Module):
    """A network whose outputs are its parameters, so that their update is the step of the outputs."""

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        def output(name: str, *shape: int) -> jax.Array:
            return self.param(name, nn.initializers.normal(0.5), (len(images), 4, 4, *shape))

        return {"classes": output("classes", 3), "confidence": output("confidence", 2), "boxes": output("boxes", 2, 4)}


def test_a_step_of_the_outputs_is_darknets():
    task = yolo(Outputs(), Optimizer(lr=0.5, momentum=0.0).make(1), **tiny.GREY)
    before = jax.jit(task.init)(jax.random.PRNGKey(0), batch_of())
    after, metrics = jax.jit(task.step)(before, batch_of())
    cells = cells_of(before.params)
    targets = jax.jit(targets_of, static_argnums=1)(batch_of(), 4)
    moved = jax.tree.map(lambda new, old: (new - old) / 0.5, cells_of(after.params), cells)
    chex.assert_trees_all_close(moved, darknets_step(cells, targets), atol=1e-5)
    np.testing.assert_allclose(metrics["loss"], sum(map(float, cells_loss(cells, targets).values())), rtol=1e-5)


def test_images_without_objects_are_ordinary():
    batch = batch_of()
    batch["valid"] = np.zeros_like(batch["valid"])
    batch["boxes"][:] = np.nan
    state, metrics = compiled()(start(), batch)
    assert {name for name in LOSSES if float(metrics[f"loss_{name}"])} == {"no_object"}
    assert float(metrics["iou"]) == 0.0
    chex.assert_tree_all_finite(state.params)


@pytest.mark.parametrize("spoil", tiny.ODD_OBJECTS)
def test_odd_objects_keep_everything_finite(spoil):
    batch = batch_of()
    spoil(batch)
    state, metrics = compiled()(start(), batch)
    chex.assert_tree_all_finite((state.params, metrics))


def test_degenerate_boxes_change_nothing():
    spoiled = batch_of()
    for row in (0, 2):
        spoiled["boxes"][row, 1] = [9, 9, 9, 9]
        spoiled["valid"][row, 1] = True
    chex.assert_trees_all_equal(compiled()(start(), batch_of())[1], compiled()(start(), spoiled)[1])


@pytest.mark.parametrize(("mode", "count"), [("pmap", 4), pytest.param("jit", 2, marks=pytest.mark.long)])
def test_devices_agree(mode: str, count: int):
    where = devices.choose(mode, jax.devices()[:count])
    found = train(task_of(), batch_of(), 3, where)
    chex.assert_trees_all_close(devices.to_host(found), on_one_device(), atol=5e-5)
    outputs = devices.compile_predict(task_of(), where)(devices.place(trained()[0], where), batch_of())
    chex.assert_trees_all_close(outputs, predicted(), atol=1e-4)


def test_compiles_once():
    batch = batch_of()
    state, _ = compiled()(start(), batch)
    compiled()(state, {**batch, "valid": np.zeros_like(batch["valid"])})
    assert len(traces) == 1  # whatever the tests before gave it


def test_dropout_differs_by_step_and_not_by_run():
    task = task_of(dropout=0.5)
    step = jax.jit(task.step)
    first, again = (float(step(start(), batch_of())[1]["loss"]) for _ in range(2))
    later = float(step(start().replace(step=start().step + 1), batch_of())[1]["loss"])
    assert first == again != later
