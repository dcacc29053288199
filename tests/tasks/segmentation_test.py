"""A segmentation network learns, whatever is not labelled, and on any number of devices."""

from functools import cache

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.evals.segmentation import confusion
from jaxvision.losses.segmentation import pixel_cross_entropy
from jaxvision.ops import looks
from jaxvision.tasks.segmentation import accuracy, center, segmentation
from jaxvision.train import devices
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Task
from tests.tasks.training import ONE, compiles_once, train

GREY = {"mean": (127.5, 127.5, 127.5), "std": (127.5, 127.5, 127.5)}
NAMES = ("background", "red", "green", "blue")
SIZE = 12


class Net(nn.Module):
    """Two convolutions; optionally batch norm, a side output, and no padding."""

    num_classes: int = 4
    norm: bool = False
    side: bool = False
    pad: int = 1

    @nn.compact
    def __call__(self, x, *, train: bool):
        padding = ((self.pad, self.pad),) * 2
        x = nn.relu(nn.Conv(16, (3, 3), padding=padding, name="conv1")(x))
        if self.norm:
            x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
        x = nn.relu(nn.Conv(16, (3, 3), padding=padding, name="conv2")(x))
        outputs = {"logits": nn.Dense(self.num_classes, name="score")(x)}
        return {**outputs, "aux_1": nn.Dense(self.num_classes, name="aux")(x)} if self.side else outputs


def batch_of(rows: int = 4) -> dict[str, np.ndarray]:
    """Rectangles in the channel of their class; row r ignores its first 3·r lines, the last row all of them."""
    rng = np.random.default_rng(0)
    image, labels = rng.integers(0, 60, (rows, SIZE, SIZE, 3), np.uint8), np.zeros((rows, SIZE, SIZE), np.uint8)
    for row in range(rows):
        for k in (1, 2, 3):
            y, x = rng.integers(0, SIZE - 4, 2)
            labels[row, y : y + 4, x : x + 4] = k
        for k in (1, 2, 3):
            image[row, ..., k - 1][labels[row] == k] = 250
        labels[row, : 3 * row] = 255
    labels[-1] = 255
    return {"image": image, "label_map": labels, "_mask": np.ones(rows, bool)}


def task_of(net: Net = Net(), lr: float = 0.1, **fields) -> Task:  # noqa: B008
    return segmentation(net, Optimizer(lr=lr).make(100), **GREY, **fields)


@cache
def trained():
    return train(task_of(), batch_of(), 100)


@pytest.mark.parametrize("net", [Net(), Net(norm=True), Net(side=True)], ids=str)
def test_overfits_one_batch(net: Net):
    batch = batch_of()
    state, metrics = trained() if net == Net() else train(task_of(net), batch, 100)
    assert set(metrics) == {"loss", "accuracy"}
    assert float(metrics["accuracy"]) > 0.98 and float(metrics["loss"]) < 0.15
    outputs = devices.compile_predict(task_of(net), ONE)(state, batch)
    assert outputs["classes"].shape == batch["label_map"].shape and outputs["classes"].dtype == np.uint8
    assert outputs["confidence"].dtype == np.float16 and (outputs["confidence"] > 0.25).all()
    metric = confusion(NAMES)
    assert metric.result(metric.update(metric.init(), outputs, batch))["mean_iou"] > 0.95


def weigh(batch: dict) -> dict:
    return {**batch, "weight_map": np.random.default_rng(1).uniform(1, 3, (4, SIZE, SIZE)).astype(np.float32)}


@cache
def weighted(normalise: str, lr: float) -> Task:
    return task_of(Net(side=True), lr, normalise=normalise, class_weights=(0.5, 1.0, 2.0, 0.0))


@cache
def on_one_device(normalise: str, lr: float):
    return train(weighted(normalise, lr), weigh(batch_of()), 3)


@pytest.mark.parametrize(("mode", "count"), [pytest.param("jit", 2, marks=pytest.mark.long), ("pmap", 4)])
@pytest.mark.parametrize("normalise", ["pixels", "weights", "none"])
def test_devices_agree(mode: str, count: int, normalise: str):
    """The rows of each device have another number of pixels that count; those of the last have none."""
    batch = weigh(batch_of())
    lr = 0.001 if normalise == "none" else 0.1
    task = weighted(normalise, lr)
    expected = on_one_device(normalise, lr)
    found = train(task, batch, 3, devices.choose(mode, jax.devices()[:count]))
    chex.assert_trees_all_close(devices.to_host(found), devices.to_host(expected), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", ["jit", "pmap"])
def test_predictions_agree_on_devices(mode: str):
    where = devices.choose(mode, jax.devices())
    outputs = devices.compile_predict(task_of(), where)(devices.place(trained()[0], where), batch_of())
    expected = devices.compile_predict(task_of(), ONE)(trained()[0], batch_of())
    np.testing.assert_array_equal(outputs["classes"], expected["classes"])


def test_metrics_are_those_of_the_loss_and_of_the_largest_logits():
    batch, net = batch_of(), Net(side=True)
    weights = np.array([0.5, 1.0, 2.0, 3.0], np.float32)
    batch["weight_map"] = np.random.default_rng(1).uniform(0, 3, (4, SIZE, SIZE)).astype(np.float32)
    task = task_of(net, class_weights=weights, normalise="weights", aux_weight=0.4)
    state = jax.jit(task.init)(jax.random.PRNGKey(0), batch)
    _, metrics = jax.jit(task.step)(state, batch)
    images = (jnp.asarray(batch["image"], jnp.float32) - 127.5) / 127.5
    outputs = net.apply({"params": state.params}, images, train=True)
    labels, pixels = jnp.asarray(batch["label_map"]), jnp.asarray(batch["weight_map"])
    main, side = (
        pixel_cross_entropy(
            outputs[k], labels, class_weights=jnp.asarray(weights), pixel_weights=pixels, normalise="weights"
        )
        for k in ("logits", "aux_1")
    )
    np.testing.assert_allclose(metrics["loss"], main + 0.4 * side, rtol=1e-5)
    counted = batch["label_map"] != 255
    right = (np.asarray(outputs["logits"]).argmax(-1) == batch["label_map"])[counted].mean()
    np.testing.assert_allclose(metrics["accuracy"], right, rtol=1e-5)


def test_a_batch_without_labels_changes_nothing():
    batch, task = batch_of(), task_of()
    batch["label_map"][:] = 255
    state = jax.jit(task.init)(jax.random.PRNGKey(0), batch)
    after, metrics = jax.jit(task.step)(state, batch)
    chex.assert_trees_all_equal(after.params, state.params)
    assert float(metrics["loss"]) == 0.0 and float(metrics["accuracy"]) == 0.0


def test_compiles_once():
    task, batch = task_of(), batch_of()
    state = jax.jit(task.init)(jax.random.PRNGKey(0), batch)
    compiles_once(task, state, (batch, {**batch, "label_map": np.full_like(batch["label_map"], 255)}, batch))


def test_a_network_without_padding_learns_the_centre_and_predicts_by_tiles():
    batch, net = batch_of(), Net(pad=0)
    task = task_of(net, look=looks.sliding((8, 8), (4, 4)))
    state, metrics = train(task, batch, 100)
    assert float(metrics["accuracy"]) > 0.9
    outputs = jax.jit(task.predict)(state, batch)
    counted = (batch["label_map"] != 255)[:, 2:-2, 2:-2]
    right = (np.asarray(outputs["classes"]) == batch["label_map"])[:, 2:-2, 2:-2]
    np.testing.assert_allclose(right[counted].mean(), metrics["accuracy"], atol=0.05)
    with pytest.raises(ValueError, match="8×8 for images of 12×12 px; predict with looks.sliding"):
        jax.jit(task_of(net).predict)(state, batch)


def test_center_of_odd_differences():
    maps = jnp.arange(35).reshape(1, 5, 7)
    np.testing.assert_array_equal(center(maps, jnp.zeros((1, 2, 3, 1))), maps[:, 1:3, 2:5])
    np.testing.assert_array_equal(center(maps, jnp.zeros((1, 5, 7, 1))), maps)


def test_ties_go_to_the_first_class():
    assert float(accuracy(jnp.zeros((1, 1, 3, 2)), jnp.array([[[0, 1, 255]]], jnp.uint8))) == 0.5


def test_classes_that_do_not_fit():
    with pytest.raises(ValueError, match="class_weights: 3 for 4 classes"):
        task_of(class_weights=(1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="256 classes"):
        task_of(Net(256))


def test_the_proposals_of_a_batch_reach_the_look():
    batch = batch_of(2)
    boxes, valid = np.array([[[2, 2, 10, 10]], [[0, 0, 0, 0]]], np.float32), np.array([[True], [False]])
    task = task_of(look=looks.proposals(SIZE))
    state = jax.jit(task.init)(jax.random.PRNGKey(0), batch)
    found = jax.jit(task.predict)(state, {**batch, "proposals": boxes, "proposal_valid": valid})
    even = np.float16(1 / Net().num_classes)
    assert (found["confidence"][1] == even).all() and (found["confidence"][0, :2] == even).all()
    assert (found["confidence"][0, 2:10, 2:10] > even).mean() > 0.5
