from collections.abc import Callable
from functools import partial

import chex
import jax
import jax.numpy as jnp
import pytest

from jaxvision.models.googlenet import ConvUnit, GoogLeNet, Inception
from jaxvision.models.layers import BatchNorm


def _init(model: GoogLeNet, size: int = 224) -> dict:
    image = jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)
    return jax.eval_shape(lambda k, x: model.init(k, x, train=False), jax.random.PRNGKey(0), image)


def _features(model: GoogLeNet, variables: dict, size: int = 224, train: bool = False) -> dict:
    image = jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)

    def apply(variables: dict, x: jax.Array) -> dict:
        rngs = {"dropout": jax.random.PRNGKey(0)}
        return model.apply(variables, x, train=train, rngs=rngs, mutable=["batch_stats"])[0]

    return jax.eval_shape(apply, variables, image)


def _count(tree: dict) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def test_paper_parameter_counts() -> None:
    params = _init(GoogLeNet())["params"]
    assert _count(params["aux_4a"]) == 3_188_840
    assert _count(params["aux_4d"]) == 3_190_888
    assert _count(params) == 13_378_280


def test_torchvision_parameter_count() -> None:
    params = _init(GoogLeNet(variant="torchvision"))["params"]
    assert _count(params) - _count(params["aux_4a"]) - _count(params["aux_4d"]) == 6_624_904


@pytest.mark.parametrize("variant", ["paper", "torchvision"])
def test_feature_shapes_are_those_of_table_1(variant: str) -> None:
    model = GoogLeNet(variant=variant)
    features = _features(model, _init(model))
    expected = {
        "conv1": (112, 112, 64),
        "pool1": (56, 56, 64),
        "conv2": (56, 56, 192),
        "pool2": (28, 28, 192),
        "inception_3a": (28, 28, 256),
        "inception_3b": (28, 28, 480),
        "pool3": (14, 14, 480),
        "inception_4a": (14, 14, 512),
        "inception_4d": (14, 14, 528),
        "inception_4e": (14, 14, 832),
        "pool4": (7, 7, 832),
        "inception_5b": (7, 7, 1024),
        "pool5": (1024,),
        "logits": (1000,),
    }
    assert {name: features[name].shape[1:] for name in expected} == expected
    assert ("norm1" in features) == (variant == "paper")


def test_large_branch_has_the_kernel_of_its_variant() -> None:
    for variant, size in (("paper", 5), ("torchvision", 3)):
        params = _init(GoogLeNet(variant=variant), 64)["params"]
        unit = params["inception_3a"]["conv5x5"]
        assert unit["conv"]["kernel"].shape == (size, size, 16, 32)
        assert ("bias" in unit["conv"]) == (variant == "paper")


def test_auxiliary_outputs_exist_in_training_only() -> None:
    model = GoogLeNet(num_classes=7)
    variables = _init(model)
    assert not {"aux_4a", "aux_4d"} & _features(model, variables).keys()
    features = _features(model, variables, train=True)
    assert features["aux_4a"].shape == features["aux_4d"].shape == (2, 7)


def test_reductions_side_classifiers_and_the_mean_can_be_left_out() -> None:
    params = _init(GoogLeNet(reduces=False, auxiliary=False, fully_connected=True), 64)["params"]
    assert "aux_4a" not in params and "reduce3x3" not in params["inception_3a"]
    assert params["inception_3a"]["conv5x5"]["conv"]["kernel"].shape == (5, 5, 192, 32)  # of 16 channels otherwise
    assert params["inception_3b"]["pool_proj"]["conv"]["kernel"].shape == (1, 1, 256, 64)
    assert params["fc6"]["kernel"].shape == (2 * 2 * 1024, 1024) and params["fc"]["kernel"].shape == (1024, 1000)


def test_without_classes_there_is_no_head() -> None:
    model = GoogLeNet(num_classes=None)
    variables = _init(model)
    assert not {"fc", "aux_4a", "aux_4d"} & variables["params"].keys()
    assert not {"logits", "aux_4a", "aux_4d"} & _features(model, variables, train=True).keys()


@pytest.mark.parametrize(
    ("size", "inputs"), [(64, 4 * 4 * 128), (32, 2 * 2 * 128), (128, 2 * 2 * 128), (224, 4 * 4 * 128)]
)
def test_auxiliary_heads_fit_small_images(size: int, inputs: int) -> None:
    params = _init(GoogLeNet(), size)["params"]
    assert params["aux_4a"]["fc1"]["kernel"].shape == (inputs, 1024)


def test_training_step_on_small_images(filled: Callable) -> None:
    model = GoogLeNet(width=1 / 16, num_classes=5)
    x = jax.random.normal(jax.random.PRNGKey(1), (2, 64, 64, 3))
    variables = filled(model, x)

    def loss(params: dict, key: jax.Array) -> jax.Array:
        outputs = model.apply({"params": params}, x, train=True, rngs={"dropout": key})
        return sum(jnp.sum(outputs[name] ** 2) for name in ("logits", "aux_4a", "aux_4d"))

    step = jax.jit(jax.value_and_grad(loss))
    value, gradients = step(variables["params"], jax.random.PRNGKey(2))
    chex.assert_tree_all_finite(gradients)
    assert jnp.any(gradients["aux_4d"]["fc2"]["kernel"] != 0)
    assert value != step(variables["params"], jax.random.PRNGKey(3))[0]


def test_batch_norm_of_a_branch_learns_statistics() -> None:
    norm = partial(BatchNorm, use_running_average=False)
    module = Inception((2, 3, 4, 1, 2, 2), partial(ConvUnit, norm=norm), large=3)
    x = jax.random.normal(jax.random.PRNGKey(1), (2, 6, 6, 5))
    variables = jax.jit(module.init)(jax.random.key(0, impl="rbg"), x)
    y, updated = jax.jit(partial(module.apply, mutable=["batch_stats"]))(variables, x)
    chex.assert_shape(y, (2, 6, 6, 10))
    before, after = variables["batch_stats"]["conv5x5"]["bn"], updated["batch_stats"]["conv5x5"]["bn"]
    assert jnp.all(before["mean"] != after["mean"])


def test_bfloat16_computes_with_float32_parameters() -> None:
    model = GoogLeNet(variant="torchvision", dtype=jnp.bfloat16)
    variables = _init(model, 64)
    assert {x.dtype for x in jax.tree.leaves(variables)} == {jnp.dtype(jnp.float32)}
    features = _features(model, variables, 64, train=True)
    assert {x.dtype for x in features.values()} == {jnp.dtype(jnp.bfloat16)}


def test_error_names_the_field() -> None:
    with pytest.raises(ValueError, match="variant 'v3'"):
        _init(GoogLeNet(variant="v3"))
