from collections.abc import Callable
from functools import partial

import chex
import jax
import jax.numpy as jnp
import pytest

from jaxvision.models.alexnet import AlexNet


def _shapes(model: AlexNet, size: int) -> tuple[dict, dict]:
    image = jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)
    features, variables = jax.eval_shape(
        lambda k, x: model.init_with_output(k, x, train=False), jax.random.PRNGKey(0), image
    )
    return features, variables["params"]


@pytest.mark.parametrize(
    ("variant", "size", "count"),
    [
        ("paper", 227, 60_965_224),
        ("caffenet", 227, 60_965_224),
        ("single", 227, 62_378_344),
        ("torchvision", 224, 61_100_840),
    ],
)
def test_parameter_count(variant: str, size: int, count: int) -> None:
    _, params = _shapes(AlexNet(variant=variant), size)
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == count


def test_feature_shapes_are_those_of_the_paper() -> None:
    features, params = _shapes(AlexNet(), 227)
    shapes = {name: x.shape[1:] for name, x in features.items()}
    assert shapes == {
        "conv1": (55, 55, 96),
        "norm1": (55, 55, 96),
        "pool1": (27, 27, 96),
        "conv2": (27, 27, 256),
        "norm2": (27, 27, 256),
        "pool2": (13, 13, 256),
        "conv3": (13, 13, 384),
        "conv4": (13, 13, 384),
        "conv5": (13, 13, 256),
        "pool5": (6, 6, 256),
        "fc6": (4096,),
        "fc7": (4096,),
        "logits": (1000,),
    }
    assert params["conv2"]["kernel"].shape == (5, 5, 48, 256)
    assert params["conv3"]["kernel"].shape == (3, 3, 256, 384)


def test_caffenet_normalises_after_the_pool() -> None:
    features, _ = _shapes(AlexNet(variant="caffenet"), 227)
    assert features["norm1"].shape == (2, 27, 27, 96)


def test_torchvision_variant_pools_to_six_by_six() -> None:
    features, _ = _shapes(AlexNet(variant="torchvision"), 320)
    assert features["pool5"].shape == (2, 6, 6, 256)
    assert "norm1" not in features


def test_response_norm_and_overlap_can_be_left_out() -> None:
    features, params = _shapes(AlexNet(response_norm=False, overlapping=False), 67)
    assert "norm1" not in features and features["pool1"].shape == (2, 7, 7, 96)
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, _shapes(AlexNet(), 67)[1])
    assert _shapes(AlexNet(overlapping=False), 71)[0]["pool1"].shape == (2, 8, 8, 96)
    assert _shapes(AlexNet(), 71)[0]["pool1"].shape == (2, 7, 7, 96)


def test_without_classes_or_head() -> None:
    features, params = _shapes(AlexNet(num_classes=None), 227)
    assert "fc7" in features and "logits" not in features and "fc8" not in params
    features, params = _shapes(AlexNet(head=False), 227)
    assert "pool5" in features and "fc6" not in features
    assert sorted(params) == ["conv1", "conv2", "conv3", "conv4", "conv5"]


def test_initial_values_follow_section_5() -> None:
    model = AlexNet(width=1 / 16, num_classes=10)
    params = jax.jit(partial(model.init, train=False))(jax.random.key(0, impl="rbg"), jnp.zeros((1, 67, 67, 3)))[
        "params"
    ]
    ones = {name for name, layer in params.items() if jnp.all(layer["bias"] == 1)}
    zeros = {name for name, layer in params.items() if jnp.all(layer["bias"] == 0)}
    assert ones == {"conv2", "conv4", "conv5", "fc6", "fc7"}
    assert zeros == {"conv1", "conv3", "fc8"}
    assert abs(float(params["fc7"]["kernel"].std()) - 0.04) < 0.001


@pytest.mark.parametrize("variant", ["paper", "torchvision"])
def test_small_images_give_finite_gradients_and_dropout_in_training_only(variant: str, filled: Callable) -> None:
    model = AlexNet(width=1 / 16, num_classes=10, variant=variant)
    x = jax.random.normal(jax.random.PRNGKey(1), (2, 67, 67, 3))
    variables = filled(model, x)

    def loss(variables: dict, key: jax.Array) -> jax.Array:
        return jnp.sum(model.apply(variables, x, train=True, rngs={"dropout": key})["logits"] ** 2)

    step = jax.jit(jax.value_and_grad(loss))
    value, gradients = step(variables, jax.random.PRNGKey(2))
    chex.assert_tree_all_finite(gradients)
    assert value != step(variables, jax.random.PRNGKey(3))[0]
    first, second = (jax.jit(partial(model.apply, train=False))(variables, x)["logits"] for _ in range(2))
    chex.assert_trees_all_equal(first, second)


def test_bfloat16_computes_with_float32_parameters() -> None:
    features, params = _shapes(AlexNet(dtype=jnp.bfloat16), 227)
    assert {x.dtype for x in jax.tree.leaves(params)} == {jnp.dtype(jnp.float32)}
    assert {x.dtype for x in features.values()} == {jnp.dtype(jnp.bfloat16)}


def test_errors_name_the_field() -> None:
    with pytest.raises(ValueError, match="variant 'zf'"):
        _shapes(AlexNet(variant="zf"), 227)
    with pytest.raises(ValueError, match="image_size must be at least 67"):
        _shapes(AlexNet(), 64)
