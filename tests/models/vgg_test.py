from collections.abc import Callable
from functools import partial

import chex
import jax
import jax.numpy as jnp
import pytest

from jaxvision.models.dense_head import to_convolutions
from jaxvision.models.vgg import VGG, VGG11, VGG16


def _shapes(model: VGG, size: int = 224) -> tuple[dict, dict]:
    image = jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)
    return jax.eval_shape(lambda k, x: model.init_with_output(k, x, train=False), jax.random.PRNGKey(0), image)


def _count(tree: dict) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(
    ("net", "count"),
    [
        ("A", 132_863_336),
        ("A-LRN", 132_863_336),
        ("B", 133_047_848),
        ("C", 133_638_952),
        ("D", 138_357_544),
        ("E", 143_667_240),
    ],
)
def test_parameter_count(net: str, count: int) -> None:
    features, variables = _shapes(VGG(net=net))
    assert _count(variables["params"]) == count
    assert features["pool5"].shape == (2, 7, 7, 512)
    assert ("norm1" in features) == (net == "A-LRN")


def test_convolutional_part_alone() -> None:
    features, variables = _shapes(VGG16(head=False))
    assert _count(variables["params"]) == 14_714_688
    assert "pool5" in features and "fc6" not in features


def test_batch_norm_adds_one_layer_a_convolution() -> None:
    _, variables = _shapes(VGG11(batch_norm=True))
    channels = 64 + 128 + 2 * 256 + 4 * 512
    assert _count(variables["params"]) == 132_863_336 + 2 * channels
    assert _count(variables["batch_stats"]) == 2 * channels
    assert variables["params"]["bn5_2"]["scale"].shape == (512,)


def test_three_small_filters_see_as_far_as_a_large_one_with_fewer_parameters() -> None:
    small, large = (_shapes(VGG(net=net, head=False), 32) for net in ("3x3", "7x7"))
    assert {name: x.shape for name, x in small[0].items() if "pool" in name} == {
        name: x.shape for name, x in large[0].items() if "pool" in name
    }
    kernels = [params[1]["params"] for params in (small, large)]
    sizes = [[layer["kernel"].size for name, layer in each.items() if name.startswith("conv2")] for each in kernels]
    assert [sum(of) - 9 * 64 * 128 for of in sizes] == [27 * 128**2, 49 * 128**2]  # the first brings 64 channels to 128


def test_net_c_ends_its_late_blocks_pointwise() -> None:
    _, variables = _shapes(VGG(net="C"))
    assert variables["params"]["conv3_3"]["kernel"].shape == (1, 1, 256, 256)
    assert variables["params"]["conv2_2"]["kernel"].shape == (3, 3, 128, 128)


def test_head_averages_larger_maps_and_takes_smaller_ones_whole() -> None:
    for size, inputs in ((320, 7 * 7 * 512), (96, 3 * 3 * 512)):
        _, variables = _shapes(VGG11(), size)
        assert variables["params"]["fc6"]["kernel"].shape == (inputs, 4096)


def test_dense_has_the_same_parameters_after_conversion() -> None:
    _, flat = _shapes(VGG16())
    features, dense = _shapes(VGG16(dense=True), 256)
    assert features["logits"].shape == (2, 2, 2, 1000)
    converted = jax.eval_shape(to_convolutions, flat["params"])
    chex.assert_trees_all_equal_shapes_and_dtypes(converted, dense["params"])


def test_dense_equals_the_classifier_at_its_native_size(filled: Callable) -> None:
    model = VGG11(width=1 / 32, num_classes=5, window=2, batch_norm=True)
    x = jax.random.normal(jax.random.PRNGKey(1), (2, 64, 64, 3))
    variables = filled(model, x)
    dense = {**variables, "params": to_convolutions(variables["params"], window=2)}
    maps = jax.jit(partial(model.clone(dense=True).apply, train=False))(dense, x)
    flat = jax.jit(partial(model.apply, train=False))(variables, x)
    for name in ("fc6", "fc7", "logits"):
        assert maps[name].shape[1:3] == (1, 1)
        chex.assert_trees_all_close(maps[name][:, 0, 0], flat[name], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("net", "batch_norm"), [("A-LRN", False), ("C", True)])
def test_training_gives_finite_gradients(net: str, batch_norm: bool, filled: Callable) -> None:
    model = VGG(net=net, batch_norm=batch_norm, width=1 / 16, num_classes=10)
    x = jax.random.normal(jax.random.PRNGKey(1), (2, 32, 32, 3))
    variables = filled(model, x)

    def loss(params: dict) -> tuple[jax.Array, dict]:
        rngs = {"dropout": jax.random.PRNGKey(2)}
        outputs, state = model.apply({**variables, "params": params}, x, train=True, mutable=["batch_stats"], rngs=rngs)
        return jnp.sum(outputs["logits"] ** 2), state

    gradients, state = jax.jit(jax.grad(loss, has_aux=True))(variables["params"])
    chex.assert_tree_all_finite(gradients)
    assert bool(state) == batch_norm
    if batch_norm:
        assert jnp.any(state["batch_stats"]["bn1_1"]["mean"] != variables["batch_stats"]["bn1_1"]["mean"])


def test_bfloat16_computes_with_float32_parameters() -> None:
    features, variables = _shapes(VGG11(dtype=jnp.bfloat16, batch_norm=True))
    assert {x.dtype for x in jax.tree.leaves(variables)} == {jnp.dtype(jnp.float32)}
    assert {x.dtype for x in features.values()} == {jnp.dtype(jnp.bfloat16)}


def test_errors_name_the_field() -> None:
    with pytest.raises(ValueError, match="net 'F'"):
        _shapes(VGG(net="F"))
    with pytest.raises(ValueError, match="image_size must be at least 224"):
        _shapes(VGG11(dense=True), 192)
