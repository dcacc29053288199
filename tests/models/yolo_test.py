from collections.abc import Callable
from functools import partial

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.yolo import NETS, YOLO, Classifier


def _shapes(model: nn.Module, size: int) -> tuple[dict, dict]:
    image = jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)
    return jax.eval_shape(lambda k, x: model.init_with_output(k, x, train=False), jax.random.PRNGKey(0), image)


def _count(tree: dict) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def _convolutions(params: dict) -> dict:
    return {name: layer for name, layer in params.items() if name.startswith("conv")}


def test_the_papers_network() -> None:
    outputs, variables = _shapes(YOLO(21), 448)
    params = variables["params"]
    assert _count(params) == 271_703_550 and _count(_convolutions(params)) == 60_155_968
    assert len(_convolutions(params)) == 24 and params["predictions"]["kernel"].shape == (4096, 1470)
    assert outputs["conv24"].shape == (2, 7, 7, 1024) and outputs["conv6"].shape == (2, 56, 56, 512)
    assert outputs["classes"].shape == (2, 7, 7, 20)
    assert outputs["confidence"].shape == (2, 7, 7, 2) and outputs["boxes"].shape == (2, 7, 7, 2, 4)
    assert "batch_stats" not in variables


def test_fast_yolo_has_nine_convolutions() -> None:
    _, variables = _shapes(YOLO(21, net="fast"), 448)
    assert _count(variables["params"]) == 45_089_374 and len(_convolutions(variables["params"])) == 9


def test_tiny_has_nothing_between_the_last_map_and_the_predictions() -> None:
    _, variables = _shapes(YOLO(21, net="tiny"), 448)
    params = variables["params"]
    assert _count(params) == 27_095_374 and len(_convolutions(params)) == 8
    assert params["predictions"]["kernel"].shape == (7 * 7 * 256, 1470) and not {"fc1", "local"} & params.keys()


def test_the_darknet_variant() -> None:
    outputs, variables = _shapes(YOLO(21, net="darknet", boxes=3), 448)
    params = variables["params"]
    assert params["local"]["kernel"].shape == (7, 7, 9 * 1024, 256) and outputs["local"].shape == (2, 7, 7, 256)
    assert params["predictions"]["kernel"].shape == (7 * 7 * 256, 1715) and "fc1" not in params
    assert "bias" not in params["conv1"] and variables["batch_stats"]["bn24"]["mean"].shape == (1024,)


@pytest.mark.parametrize("net", NETS)
def test_the_trunk_has_the_same_layers_in_both_networks(net: str) -> None:
    _, detector = _shapes(YOLO(21, net=net, batch_norm=True), 448)
    _, classifier = _shapes(Classifier(1000, net=net, batch_norm=True), 224)
    trunk = {k: v for k, v in classifier["params"].items() if k != "fc"}
    assert len(trunk) == 2 * NETS[net].pretrained and "fc" not in detector["params"]
    chex.assert_trees_all_equal_shapes_and_dtypes(trunk, {k: detector["params"][k] for k in trunk})
    chex.assert_trees_all_equal_shapes_and_dtypes(
        classifier["batch_stats"], {k: detector["batch_stats"][k] for k in classifier["batch_stats"]}
    )


def test_the_classifier_is_the_first_twenty_layers() -> None:
    outputs, variables = _shapes(Classifier(1000), 224)
    assert outputs["conv20"].shape == (2, 7, 7, 1024) and outputs["logits"].shape == (2, 1000)
    assert _count(_convolutions(variables["params"])) == 22_403_136
    assert "logits" not in _shapes(Classifier(None), 224)[0]


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("stride", [8, 16, 32, 64])
def test_a_smaller_stride_leaves_out_the_last_poolings(net: str, stride: int) -> None:
    outputs, _ = _shapes(YOLO(5, net=net, stride=stride, width=1 / 32, grid=3), 128)
    assert outputs["trunk"].shape[1:3] == (128 // stride,) * 2 and outputs["classes"].shape == (2, 3, 3, 4)
    smaller, _ = _shapes(Classifier(5, net=net, stride=stride, width=1 / 32), 128)
    assert smaller["trunk"].shape[1:3] == (max(128 // stride, 2 if net in ("fast", "tiny") else 4),) * 2


def test_outputs_are_in_darknets_order(filled: Callable) -> None:
    model = YOLO(3, net="fast", grid=2, boxes=2, width=1 / 64, stride=8)
    x = jnp.zeros((1, 16, 16, 3))
    variables = filled(model, x)
    last = variables["params"]["predictions"]
    last["kernel"] = np.zeros_like(last["kernel"])
    last["bias"] = np.arange(4 * (2 + 5 * 2), dtype=np.float32)
    outputs = jax.jit(partial(model.apply, train=False))(variables, x)
    np.testing.assert_array_equal(outputs["classes"].ravel(), np.arange(8))
    np.testing.assert_array_equal(outputs["confidence"].ravel(), np.arange(8, 16))
    np.testing.assert_array_equal(outputs["boxes"].ravel(), np.arange(16, 48))


def test_the_local_layer_has_a_kernel_for_each_place(filled: Callable) -> None:
    model = YOLO(3, net="darknet", grid=2, width=1 / 64, stride=8)
    x = jax.random.normal(jax.random.PRNGKey(1), (1, 16, 16, 3))
    variables = filled(model, x)
    outputs = jax.jit(partial(model.apply, train=False))(variables, x)
    trunk, local = np.pad(outputs["trunk"], ((0, 0), (1, 1), (1, 1), (0, 0))), variables["params"]["local"]
    for row, column in np.ndindex(2, 2):
        window = trunk[0, row : row + 3, column : column + 3]
        # linen's order of a window's inputs: channel, row, column
        y = window.transpose(2, 0, 1).ravel() @ local["kernel"][row, column] + local["bias"][row, column]
        np.testing.assert_allclose(outputs["local"][0, row, column], np.where(y > 0, y, 0.1 * y), atol=1e-5)


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("size", [127, 128])
def test_the_last_map_is_that_of_the_trunk_where_strides_and_poolings_round_differently(net: str, size: int) -> None:
    side = 7 if size == 127 and net in ("fast", "tiny") else 8  # a 7×7/2 convolution rounds up, a pooling down
    model = YOLO(4, net=net, grid=side, width=1 / 64, stride=16, per_cell=True)
    assert model.last_map(size) == side
    assert _shapes(model, size)[0]["classes"].shape == (2, side, side, 3)


def test_per_cell_every_cell_is_told_by_the_same_layer(filled: Callable) -> None:
    model = YOLO(3, net="darknet", grid=2, boxes=2, width=1 / 64, stride=8, per_cell=True)
    x = jax.random.normal(jax.random.PRNGKey(1), (1, 16, 16, 3))
    variables = filled(model, x)
    assert not {"local", "fc1"} & variables["params"].keys()
    outputs = jax.jit(partial(model.apply, train=False))(variables, x)
    last = variables["params"]["predictions"]
    for row, column in np.ndindex(2, 2):
        y = outputs["trunk"][0, row, column] @ last["kernel"] + last["bias"]
        got = [outputs[name][0, row, column].ravel() for name in ("classes", "confidence", "boxes")]
        assert [len(part) for part in got] == [2, 2, 8]
        np.testing.assert_allclose(np.concatenate(got), y, atol=1e-5)


@pytest.mark.parametrize("net", ["tiny", *(pytest.param(net, marks=pytest.mark.long) for net in NETS if net != "tiny")])
def test_training_gives_finite_gradients(net: str, filled: Callable) -> None:
    model = YOLO(4, net=net, grid=2, width=1 / 64, stride=8)
    x = jax.random.normal(jax.random.PRNGKey(1), (2, 16, 16, 3))
    variables = filled(model, x)

    def loss(params: dict) -> tuple[jax.Array, dict]:
        rngs = {"dropout": jax.random.PRNGKey(2)}
        outputs, state = model.apply({**variables, "params": params}, x, train=True, mutable=["batch_stats"], rngs=rngs)
        return sum(jnp.sum(outputs[name] ** 2) for name in ("classes", "confidence", "boxes")), state

    gradients, state = jax.jit(jax.grad(loss, has_aux=True))(variables["params"])
    chex.assert_tree_all_finite(gradients)
    assert bool(state) == NETS[net].batch_norm


def test_bfloat16_computes_with_float32_parameters() -> None:
    outputs, variables = _shapes(YOLO(4, net="darknet", width=1 / 64, dtype=jnp.bfloat16), 64)
    assert {x.dtype for x in jax.tree.leaves(variables)} == {jnp.dtype(jnp.float32)}
    assert outputs["trunk"].dtype == jnp.bfloat16 and outputs["boxes"].dtype == jnp.float32


def test_errors_name_the_field() -> None:
    with pytest.raises(ValueError, match="net 'slow'"):
        _shapes(YOLO(4, net="slow"), 64)
    with pytest.raises(ValueError, match="stride 10"):
        _shapes(YOLO(4, stride=10), 64)
    with pytest.raises(ValueError, match="image_size of at least that"):
        _shapes(YOLO(4, stride=64), 32)
    with pytest.raises(ValueError, match="grid 7: the last map is 4×4"):
        _shapes(YOLO(4, stride=16, per_cell=True), 64)
