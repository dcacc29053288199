"""Gradients by layer: measured without a change of the parameters, and told in the order of the layers."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

from jaxvision.recipes.comparison_table import Ran
from jaxvision.recipes.gradient_norms import gradient_norms, keeping, layer_norms, told_gradients
from jaxvision.tasks.classification import classification
from jaxvision.train.devices import initial
from jaxvision.train.types import Batch


class Linear(nn.Module):
    """Two layers without anything between them."""

    num_classes: int = 2

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], *, train: bool) -> dict[str, Float[Array, "B _"]]:
        x = nn.Dense(2, use_bias=False, name="conv1")(x.reshape(len(x), -1))
        return {"logits": nn.Dense(2, name="fc")(x)}


class Once:
    """One batch."""

    def __init__(self, shard: int, shards: int) -> None:
        self.batch = {"image": np.arange(12, dtype=np.uint8).reshape(2, 1, 2, 3), "label": np.array([0, 1])}

    def __iter__(self) -> "Once":
        return self

    def __next__(self) -> Batch:
        return self.batch

    def close(self) -> None:
        """Nothing is open."""


TASK = classification(Linear(), keeping(), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def test_the_norms_are_those_of_the_loss_s_gradient_and_the_start_is_found_again():
    state = initial(TASK, jax.random.PRNGKey(3), next(Once(0, 1)))
    moved = state.replace(step=jnp.int32(5), params=jax.tree.map(lambda p: p + 0.1, state.params))
    later, start = gradient_norms(TASK, Once, 5)
    batch = next(Once(0, 1))

    def loss(params):
        logits = Linear().apply({"params": params}, batch["image"].astype(np.float32), train=True)["logits"]
        return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(2), batch["label"]])

    for hook, name, at in ((later, "gradient", moved), (start, "gradient_at_0", state)):
        expected = jax.grad(loss)(at.params)
        found = hook.run(lambda *_: None, moved)
        assert list(found) == [f"{name}/conv1", f"{name}/fc"]
        for layer in ("conv1", "fc"):
            assert found[f"{name}/{layer}"] == pytest.approx(
                float(jnp.linalg.norm(expected[layer]["kernel"])), rel=1e-4
            )
    assert (later.every, start.every) == (5, 0)


def test_layers_come_in_their_order_without_side_classifiers_and_norms():
    names = ["fc", "fc6", "inception_3a", "conv2", "conv2_reduce", "conv1", "aux_4a", "layer1_10", "layer1_2"]
    gradient = {name: {"kernel": np.full(4, 2.0), "bias": np.ones(9)} for name in names} | {
        "bn1": {"scale": np.ones(3)}
    }
    expected = ["conv1", "conv2_reduce", "conv2", "inception_3a", "layer1_2", "layer1_10", "fc6", "fc"]
    assert layer_norms(gradient) == dict.fromkeys(expected, 4.0)
    assert list(layer_norms(gradient)) == expected


def ran(first: float) -> Ran:
    rows = [
        {"stage": "a", "step": 100, "gradient/conv1": 4.0, "gradient/fc": 1.0},
        {"stage": "a", "step": 200, "gradient/conv1": 8.0, "gradient/fc": 1.0},
        {"stage": "a", "step": 200, "gradient_at_0/conv1": first, "gradient_at_0/fc": 1.0},
    ]
    return Ran({"train": "a"}, rows)


def test_the_first_layer_s_gradient_is_told_with_its_ratio():
    runs = {"with": [ran(6.0), ran(8.0)], "without": [ran(2.0), ran(2.0)]}
    result = told_gradients((("with", "without"), ("with", "gone")), runs)
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in result["gradients"].splitlines()]
    assert lines[0][1:] == ["step 0", "step 100", "step 200"]
    assert lines[2:] == [
        ["with", "7 ± 1.4", "4 ± 0", "8 ± 0"],
        ["without", "2 ± 0", "4 ± 0", "8 ± 0"],
        ["with / without", "3.5 ×", "1 ×", "1 ×"],
    ]
    assert result["with/gradient_at_0"] == 7.0 and result["gradients_figure"].dtype == np.uint8
    assert told_gradients((), {"with": [Ran({"train": "a"}, [])]}) == {}
