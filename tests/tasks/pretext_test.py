"""A network that is asked about pieces of images learns, on any number of devices, and goes on where it stopped."""

from functools import partial

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.pretext_heads import PieceClassifier
from jaxvision.ops.images import normalise, unit
from jaxvision.ops.permutations import spread
from jaxvision.tasks.pretext import pretext, shown
from jaxvision.tasks.questions import jigsaw, relative_patch, rotation
from jaxvision.train import devices
from jaxvision.train.optim import Optimizer
from jaxvision.train.steps import example_keys
from jaxvision.train.types import TrainState
from tests.tasks.training import ONE, goes_on_bit_for_bit, train

GREY = {"mean": (127.5, 127.5, 127.5), "std": (127.5, 127.5, 127.5)}
ASKS = {
    "rotation": (4, partial(rotation, **GREY)),
    "patch": (8, partial(relative_patch, **GREY, patch=4, gap=1, jitter=1, least_pixels=4)),
    "jigsaw": (2, lambda: jigsaw(jnp.asarray(spread(2), jnp.int32), cell=5, tile=4, shift=1)),
}


class Encoder(nn.Module):
    """A convolution that keeps its places, optionally with batch norm."""

    norm: bool = False

    @nn.compact
    def __call__(self, x, *, train):
        x = nn.relu(nn.Conv(8, (4, 4), (4, 4), padding=((0, 0), (0, 0)))(x))
        if self.norm:
            x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
        return {"pool": x.reshape(len(x), -1)[:, :8], "layer4": x}


def batch_of(rows: int = 8) -> dict:
    image = np.random.default_rng(0).integers(0, 100, (rows, 16, 16, 3), np.uint8)
    image[:, :5, :5] += 120  # one corner is bright: that is up
    image[:, :5, 11:] += 50
    return {"image": image, "seed": np.arange(rows, dtype=np.uint32), "_mask": np.ones(rows, bool)}


def task_of(name: str, norm: bool = False, lr: float = 0.1, tower: int = 0):
    classes, ask = ASKS[name]
    model = PieceClassifier(Encoder(norm), classes, tower=tower)
    return pretext(model, Optimizer(lr=lr).make(100), ask(), **GREY)


def test_learns_which_way_is_up():
    task, batch = task_of("rotation", norm=True), batch_of()
    state, metrics = train(task, batch, 60)
    assert float(metrics["accuracy"]) == 1.0 and float(metrics["loss"]) < 0.1
    outputs = devices.compile_predict(task, ONE)(state, batch)
    assert set(outputs) == {"features", "probabilities", "answers", "pretext_accuracy", "pieces"}
    assert outputs["probabilities"].shape == (8, 4, 4) and outputs["pieces"].shape == (8, 4, 1, 16, 16, 3)
    assert outputs["pretext_accuracy"].mean() > 0.9
    np.testing.assert_array_equal(outputs["answers"][3], np.arange(4))


@pytest.mark.parametrize("name", ["patch", "jigsaw"])
def test_the_loss_falls(name: str):
    task, batch = task_of(name, tower=8, norm=True), batch_of(16)
    first = train(task, batch, 1)[1]["loss"]
    assert float(train(task, batch, 60)[1]["loss"]) < 0.8 * float(first)


@pytest.mark.parametrize("name", list(ASKS))
def test_devices_agree(name: str):
    task, batch = task_of(name), batch_of()
    expected = devices.to_host(train(task, batch, 2))
    for mode, count in (("pmap", 4), ("jit", 2)):
        found = train(task, batch, 2, devices.choose(mode, jax.devices()[:count]))
        chex.assert_trees_all_close(devices.to_host(found), expected, rtol=1e-4, atol=1e-5)


def test_features_are_the_encoders_of_the_whole_image_in_evaluation_mode():
    task, batch = task_of("rotation", norm=True), batch_of()
    state, _ = train(task, batch, 2)
    variables = {"params": state.params["encoder"], "batch_stats": state.model_state["batch_stats"]["encoder"]}
    images = normalise(jnp.asarray(batch["image"]), **GREY)
    expected = Encoder(True).apply(variables, images, train=False)["pool"]
    outputs = devices.compile_predict(task, ONE)(state, {"image": batch["image"]})
    assert set(outputs) == {"features"}  # nothing is asked without seeds
    np.testing.assert_allclose(outputs["features"], expected, rtol=1e-5)


def test_what_is_asked_while_evaluating_depends_on_the_seed_alone():
    task, batch = task_of("patch"), batch_of()
    state, _ = train(task, batch, 1)
    predict = devices.compile_predict(task, ONE)
    whole, again = predict(state, batch), predict(state, {k: v[2:4] for k, v in batch.items()})
    np.testing.assert_array_equal(again["answers"], whole["answers"][2:4])
    np.testing.assert_array_equal(again["pieces"], whole["pieces"][2:4])
    several = devices.compile_predict(task, devices.choose("pmap", jax.devices()))(state, batch)
    np.testing.assert_array_equal(several["answers"], whole["answers"])
    assert len(np.unique(whole["answers"])) > 2


def test_each_step_asks_anew_and_compiles_once():
    task, traces = task_of("patch", lr=1e-9), []

    def step(state, batch):
        traces.append(1)
        return task.step(state, batch)

    run, batch = jax.jit(step), batch_of()
    state = jax.jit(task.init)(jax.random.PRNGKey(0), batch)
    later, first = run(state, batch)
    _, second = run(later, batch)
    _, again = run(state, batch)
    assert float(first["loss"]) != float(second["loss"]) and float(first["loss"]) == float(again["loss"])
    assert len(traces) == 1


def test_a_killed_run_goes_on_bit_for_bit(tmp_path):
    task, batch = task_of("jigsaw", norm=True), batch_of()
    state = jax.jit(task.init)(jax.random.PRNGKey(0), batch)
    goes_on_bit_for_bit(task, state, batch, tmp_path, each=2)


def test_pictures_of_normalised_pieces():
    np.testing.assert_array_equal(shown(jnp.array([-9.0, -1.0, 0.0, 1.0, 9.0])), [0, 64, 128, 192, 255])


@pytest.mark.parametrize(("name", "count"), [("rotation", 4), ("patch", 2), ("jigsaw", 9)])
def test_the_pieces_that_a_step_asks_about_can_be_seen(name: str, count: int):
    task, batch = task_of(name), batch_of(2)
    state = TrainState(jnp.int32(3), {}, {}, {}, {}, jax.random.PRNGKey(1))
    assert task.see is not None
    seen = jax.jit(task.see)(state, batch)
    assert seen.shape[:2] == (2, count) and seen.dtype == jnp.uint8
    pieces = ASKS[name][1]()(example_keys(state, 2, None), unit(jnp.asarray(batch["image"]))).pieces
    np.testing.assert_allclose(seen.reshape(pieces.shape).astype(int), shown(pieces).astype(int), atol=1)
