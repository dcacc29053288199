from collections.abc import Callable
from functools import partial
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.layers import BatchNorm, Conv
from jaxvision.models.resnet import BasicBlock, Bottleneck, CifarResNet, ResNet, ResNet18, ResNet50, Shortcut
from jaxvision.ops.dispatch import plain_forms


def _shapes(model: nn.Module, size: int = 224) -> tuple[dict, dict]:
    image = jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)
    return jax.eval_shape(lambda k, x: model.init_with_output(k, x, train=False), jax.random.PRNGKey(0), image)


def _count(tree: dict) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(
    ("depth", "count"),
    [
        (10, 5_418_792),
        (18, 11_689_512),
        (34, 21_797_672),
        (50, 25_557_032),
        *(pytest.param(*deep, marks=pytest.mark.long) for deep in ((101, 44_549_160), (152, 60_192_808))),
    ],
)
def test_parameter_count_and_feature_shapes(depth: int, count: int) -> None:
    features, variables = _shapes(ResNet(depth=depth))
    assert _count(variables["params"]) == count
    expansion = 4 if depth >= 50 else 1
    assert {name: x.shape[1:] for name, x in features.items()} == {
        "stem": (112, 112, 64),
        "stem_pool": (56, 56, 64),
        "layer1": (56, 56, 64 * expansion),
        "layer2": (28, 28, 128 * expansion),
        "layer3": (14, 14, 256 * expansion),
        "layer4": (7, 7, 512 * expansion),
        "pool": (512 * expansion,),
        "logits": (1000,),
    }


def test_versions_differ_in_where_they_stride() -> None:
    x = jax.random.normal(jax.random.PRNGKey(1), (1, 6, 6, 8))
    norm = partial(BatchNorm, use_running_average=True)
    late = Bottleneck(2, 2, (1, 1), "B", partial(Conv, use_bias=False), norm, norm)
    variables = jax.jit(late.init)(jax.random.key(0, impl="rbg"), x)
    after, before = jax.jit(late.apply), jax.jit(late.clone(stride_first=True).apply)
    chex.assert_equal_shape([after(variables, x), before(variables, x)])
    # Only what sits at even pixels reaches the output of the published form.
    moved = x.at[:, 1::2].add(1.0)
    chex.assert_trees_all_equal(before(variables, x), before(variables, moved))
    assert jnp.any(after(variables, x) != after(variables, moved))
    assert _shapes(ResNet50(version="v1"), 64)[0]["layer4"].shape == (2, 2, 2, 2048)


@pytest.mark.parametrize(
    ("option", "projections"), [("A", []), ("none", []), ("B", ["layer2_0", "layer3_0", "layer4_0"]), ("C", None)]
)
def test_shortcut_options(option: str, projections: list[str] | None) -> None:
    params = _shapes(ResNet18(shortcut=option), 32)[1]["params"]
    blocks = [name for name in params if name.startswith("layer")]
    assert len(blocks) == 8
    assert [name for name in sorted(blocks) if "shortcut" in params[name]] == (
        sorted(blocks) if projections is None else projections
    )


def test_a_plain_network_has_no_shortcut_and_the_parameters_of_option_a() -> None:
    plain, residual = (CifarResNet(depth=8, shortcut=option, width=0.25) for option in ("none", "A"))
    shapes = [_shapes(model, 8)[1]["params"] for model in (plain, residual)]
    assert jax.tree.map(jnp.shape, shapes[0]) == jax.tree.map(jnp.shape, shapes[1])
    norm = partial(BatchNorm, use_running_average=True)
    block = BasicBlock(
        2, 1, (1, 1), "none", partial(Conv, use_bias=False, kernel_init=nn.initializers.zeros), norm, norm
    )
    y, _ = block.init_with_output(jax.random.PRNGKey(0), jnp.ones((1, 2, 2, 2)))
    np.testing.assert_array_equal(y, np.zeros((1, 2, 2, 2)))  # where a residual block passes its input on


def test_option_a_subsamples_and_adds_zero_channels() -> None:
    x = jax.random.normal(jax.random.PRNGKey(0), (2, 5, 5, 3))
    y = Shortcut(7, 2, "A", nn.Conv, nn.BatchNorm).apply({}, x)
    np.testing.assert_array_equal(y[..., :3], x[:, ::2, ::2])
    np.testing.assert_array_equal(y[..., 3:], np.zeros((2, 3, 3, 4)))


@pytest.mark.parametrize(("output_stride", "sizes"), [(32, (8, 4, 2)), (16, (8, 4, 4)), (8, (8, 8, 8))])
def test_output_stride_keeps_resolution_and_parameters(output_stride: int, sizes: tuple[int, ...]) -> None:
    features, variables = _shapes(ResNet18(output_stride=output_stride), 64)
    assert tuple(features[f"layer{i}"].shape[1] for i in (2, 3, 4)) == sizes
    assert _count(variables["params"]) == 11_689_512


@pytest.mark.parametrize(
    "model", [ResNet18(), *(pytest.param(ResNet50(version=which), marks=pytest.mark.long) for which in ("v1.5", "v1"))]
)
def test_dilation_computes_the_strided_values_and_those_between(model: ResNet, filled: Callable) -> None:
    model = model.clone(width=1 / 16, num_classes=None)
    x = jax.random.normal(jax.random.PRNGKey(1), (1, 64, 64, 3))
    variables = filled(model, x)
    strided = jax.jit(partial(model.apply, train=False))(variables, x)
    dilated = jax.jit(partial(model.clone(output_stride=16).apply, train=False))(variables, x)
    size = jnp.max(strided["layer4"])
    chex.assert_trees_all_close(dilated["layer4"][:, ::2, ::2] / size, strided["layer4"] / size, atol=1e-5)


def test_zero_init_makes_each_block_its_shortcut() -> None:
    model = CifarResNet(depth=8, zero_init=True, num_classes=None)
    x = jax.random.normal(jax.random.PRNGKey(1), (1, 8, 8, 3))
    init = jax.jit(partial(model.init_with_output, train=False))
    features, variables = init(jax.random.key(0, impl="rbg"), x)
    chex.assert_trees_all_equal(features["layer1"], features["stem"])
    assert jnp.all(variables["params"]["layer3_0"]["bn2"]["scale"] == 0)
    assert jnp.all(variables["params"]["layer3_0"]["bn1"]["scale"] == 1)


def test_cifar_stem_keeps_the_resolution() -> None:
    features, variables = _shapes(ResNet18(stem="cifar", num_classes=10), 32)
    assert features["stem"].shape == features["layer1"].shape == (2, 32, 32, 64)
    assert variables["params"]["conv1"]["kernel"].shape == (3, 3, 3, 64)


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
def test_cifar_family_has_the_sizes_of_table_6(depth: int, millions: float) -> None:
    features, variables = _shapes(CifarResNet(depth=depth), 32)
    assert abs(_count(variables["params"]) / 1e6 - millions) < 0.05
    assert [features[f"layer{i}"].shape[1:] for i in (1, 2, 3)] == [(32, 32, 16), (16, 16, 32), (8, 8, 64)]
    layers = [leaf for leaf in jax.tree.leaves(variables["params"]) if leaf.ndim > 1]
    assert len(layers) == depth


@pytest.mark.parametrize("depth", [2, 18, 21])
def test_cifar_family_refuses_other_depths(depth: int) -> None:
    with pytest.raises(ValueError, match=rf"CifarResNet depth {depth}: choose 6n\+2"):
        _shapes(CifarResNet(depth=depth), 32)


@pytest.mark.parametrize(
    "fields", [{"depth": 20}, {"version": "v2"}, {"shortcut": "D"}, {"stem": "vit"}, {"output_stride": 4}]
)
def test_errors_name_the_field(fields: dict) -> None:
    with pytest.raises(ValueError, match=f"ResNet {next(iter(fields))} .*choose one of"):
        _shapes(ResNet(**fields), 32)


def test_training_updates_statistics_and_evaluation_uses_them(filled: Callable) -> None:
    model = CifarResNet(depth=8, width=0.25)
    x = 3.0 + jax.random.normal(jax.random.PRNGKey(1), (4, 16, 16, 3))
    variables = filled(model, x)

    def loss(params: dict, stats: dict, train: bool) -> tuple[jax.Array, dict]:
        outputs, state = model.apply({"params": params, "batch_stats": stats}, x, train=train, mutable=["batch_stats"])
        return jnp.sum(outputs["logits"] ** 2), state["batch_stats"]

    step = jax.jit(jax.grad(loss, has_aux=True), static_argnums=2)
    gradients, stats = step(variables["params"], variables["batch_stats"], True)
    chex.assert_tree_all_finite(gradients)
    assert jnp.all(stats["bn1"]["mean"] != variables["batch_stats"]["bn1"]["mean"])
    evaluate = jax.jit(loss, static_argnums=2)
    before, kept = evaluate(variables["params"], variables["batch_stats"], False)
    chex.assert_trees_all_equal(kept, variables["batch_stats"])
    assert before != evaluate(variables["params"], stats, False)[0]


def test_norm_can_be_replaced() -> None:
    class Frozen(nn.Module):
        use_running_average: bool
        dtype: object

        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            scale = self.variable("frozen", "scale", jnp.ones, (x.shape[-1],))
            return x * scale.value[None, None, None]

    _, variables = _shapes(ResNet18(norm=Frozen), 32)
    assert variables.keys() == {"params", "frozen"}
    _, split = _shapes(ResNet18(norm=partial(BatchNorm, momentum=0.5)), 32)
    assert "batch_stats" in split


def test_bfloat16_computes_with_float32_parameters() -> None:
    features, variables = _shapes(ResNet50(dtype=jnp.bfloat16))
    assert {x.dtype for x in jax.tree.leaves(variables)} == {jnp.dtype(jnp.float32)}
    assert {x.dtype for x in features.values()} == {jnp.dtype(jnp.bfloat16)}


@pytest.mark.parametrize(
    "model", [CifarResNet(3, 8), pytest.param(ResNet(3, 10, stem="cifar", width=1 / 8), marks=pytest.mark.long)]
)
def test_blocks_computed_anew_are_the_same_network_and_keep_less(model: nn.Module) -> None:
    """Of the forward pass as much is kept for the gradient as there are values between both passes."""
    again, images = model.clone(remat=True), jnp.zeros((2, 64, 64, 3))

    def kept(net: nn.Module) -> tuple[Any, int]:
        variables = jax.eval_shape(partial(net.init, train=True), jax.random.PRNGKey(0), images)

        def loss(params: Any) -> jax.Array:
            outputs, _ = net.apply({**variables, "params": params}, images, train=True, mutable=["batch_stats"])
            return outputs["logits"].sum()

        variables = jax.tree.map(lambda x: jnp.zeros(x.shape), variables)
        with plain_forms():
            pullback = jax.eval_shape(lambda p: jax.vjp(loss, p)[1], variables["params"])
        return jax.tree.map(jnp.shape, variables), _count(pullback) - _count(variables["params"])

    (shapes, whole), (same, part) = kept(model), kept(again)
    assert shapes == same and part < 0.7 * whole
