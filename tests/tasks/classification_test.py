"""A classifier learns, on any number of devices, and resumes."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.losses.classification import cross_entropy, soft_targets
from jaxvision.ops.views import ten_crops
from jaxvision.tasks.classification import classification, last_features, loss_of, over_positions
from jaxvision.train import devices
from jaxvision.train.optim import Optimizer
from tests.tasks.training import ONE, train

GREY = {"mean": (127.5, 127.5, 127.5), "std": (127.5, 127.5, 127.5)}


class Net(nn.Module):
    """A convolution, optionally batch norm and dropout, and a class map when `dense`."""

    num_classes: int = 3
    norm: bool = False
    dropout: float = 0.0
    dense: bool = False

    @nn.compact
    def __call__(self, x, *, train: bool):
        x = nn.relu(nn.Conv(8, (3, 3), (2, 2), padding=((1, 1), (1, 1)), name="conv1")(x))
        if self.norm:
            x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        x = x if self.dense else x.mean((1, 2))
        return {"pool": x, "logits": nn.Dense(self.num_classes)(x)}


def batch_of(rows: int = 8, size: int = 6) -> dict:
    rng = np.random.default_rng(0)
    label = np.arange(rows, dtype=np.int32) % 3
    image = rng.integers(0, 80, (rows, size, size, 3), np.uint8)
    image[np.arange(rows), :, :, label] += 120  # the class is the brightest channel
    return jax.tree.map(jnp.asarray, {"image": image, "label": label})


@pytest.mark.parametrize("options", [{}, {"norm": True}, {"dense": True}], ids=str)
def test_overfits_one_batch(options: dict):
    task, batch = classification(Net(**options), Optimizer(lr=0.1).make(100), **GREY), batch_of()
    state, metrics = train(task, batch, 100)
    assert float(metrics["accuracy"]) == 1.0 and float(metrics["loss"]) < 0.1
    probabilities = devices.compile_predict(task, ONE)(state, batch)["probabilities"]
    np.testing.assert_allclose(probabilities.sum(-1), 1, rtol=1e-5)
    np.testing.assert_array_equal(probabilities.argmax(-1), batch["label"])


@pytest.mark.parametrize(
    ("mode", "count"),
    [
        ("jit", 2),
        pytest.param("jit", 4, marks=pytest.mark.long),
        pytest.param("pmap", 2, marks=pytest.mark.long),
        ("pmap", 4),
    ],
)
def test_devices_agree(mode: str, count: int):
    task, batch = classification(Net(), Optimizer(lr=0.1, weight_decay=1e-3).make(10), **GREY), batch_of()
    expected = train(task, batch, 3)
    found = train(task, batch, 3, devices.choose(mode, jax.devices()[:count]))
    chex.assert_trees_all_close(devices.to_host(found), devices.to_host(expected), atol=1e-5)


def test_batch_norm_is_global_under_sharded_jit():
    task, batch = classification(Net(norm=True), Optimizer(lr=0.1).make(10), **GREY), batch_of()
    expected = train(task, batch, 3)
    found = train(task, batch, 3, devices.choose("jit", jax.devices()))
    chex.assert_trees_all_close(devices.to_host(found), devices.to_host(expected), atol=1e-4)


def test_features_are_those_before_the_last_layer():
    found = {"fc7": jnp.full((2, 3), 7.0), "pool": jnp.zeros((2, 3)), "logits": jnp.zeros((2, 4))}
    assert last_features(found).tolist() == [[7.0] * 3] * 2
    assert last_features({"pool5": jnp.ones((2, 4, 4, 3))}).shape == (2, 3)
    with pytest.raises(ValueError, match="--mode=embed: this network has no features"):
        last_features({"logits": jnp.zeros((2, 4))})


def test_what_the_ten_crops_show_is_averaged():
    task = classification(Net(), Optimizer().make(1), views=ten_crops(4), **GREY)
    whole = classification(Net(), Optimizer().make(1), **GREY)
    batch = batch_of()
    state = task.init(jax.random.PRNGKey(0), {**batch, "image": batch["image"][:, :4, :4]})
    corners = [(0, 0), (0, 2), (2, 0), (2, 2), (1, 1)]
    crops = [batch["image"][:, y : y + 4, x : x + 4] for y, x in corners]
    crops += [c[:, :, ::-1] for c in crops]
    each = [whole.predict(state, {"image": c, "embed": True}) for c in crops]
    found = task.predict(state, {**batch, "embed": True})
    for name in ("probabilities", "features"):
        np.testing.assert_allclose(found[name], np.mean([one[name] for one in each], axis=0), rtol=1e-5)
    assert set(task.predict(state, batch)) == {"probabilities"}


def test_side_classifiers_count_three_tenths():
    logits, targets = jnp.array([[2.0, 0.0]]), soft_targets(jnp.array([0]), 2)
    outputs = {"logits": logits, "aux_4a": -logits, "aux_4d": logits}
    one, other = cross_entropy(logits, targets), cross_entropy(-logits, targets)
    np.testing.assert_allclose(loss_of(outputs, targets), one + 0.3 * (one + other), rtol=1e-6)


def test_a_class_map_is_averaged_over_positions():
    maps = jnp.arange(12.0).reshape(1, 2, 2, 3)
    np.testing.assert_allclose(over_positions(maps), [[4.5, 5.5, 6.5]])


def test_dropout_and_mixup_draw_anew_each_step():
    task = classification(Net(dropout=0.5), Optimizer(lr=1e-9).make(10), mixup_alpha=1.0, **GREY)
    state = task.init(jax.random.PRNGKey(0), batch_of())
    later, first = task.step(state, batch_of())
    _, second = task.step(later, batch_of())
    assert float(first["loss"]) != float(second["loss"])
    _, again = task.step(state, batch_of())
    assert float(first["loss"]) == float(again["loss"])
