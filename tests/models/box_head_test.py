import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.box_head import Res5, Res5Head, TwoFCHead, VGGHead
from jaxvision.models.norms import GroupNorm


def shapes_of(head, size: int, channels: int) -> tuple[dict, int]:
    x = jax.ShapeDtypeStruct((3, size, size, channels), jnp.float32)
    keys = {"params": jax.random.PRNGKey(0), "dropout": jax.random.PRNGKey(1)}
    shapes = jax.eval_shape(lambda x: head.init(keys, x, train=True)["params"], x)
    return shapes, sum(int(np.prod(s.shape)) for s in jax.tree.leaves(shapes))


def test_two_layers_of_the_pyramids_head():
    shapes, count = shapes_of(TwoFCHead(91), 7, 256)
    assert count == 14_362_055 and set(shapes) == {"fc6", "fc7", "predictor"}
    assert shapes["predictor"]["bbox_pred"]["kernel"].shape == (1024, 364)


def test_the_head_of_vgg16():
    shapes, count = shapes_of(VGGHead(21), 7, 512)
    assert count == 4096 * (25088 + 1) + 4096 * 4097 + 4097 * 105
    assert set(shapes) == {"fc6", "fc7", "predictor"}


def test_the_last_stage_of_a_resnet():
    shapes, count = shapes_of(Res5Head(81), 14, 1024)
    assert set(shapes) == {"res5", "predictor"} and set(shapes["res5"]) == {"layer4_0", "layer4_1", "layer4_2"}
    assert count == 14_964_736 + 2049 * 405  # as layer4 of ResNet-50
    x = jax.ShapeDtypeStruct((3, 14, 14, 64), jnp.float32)
    out = jax.eval_shape(lambda x: Res5(width=0.0625).init_with_output(jax.random.PRNGKey(0), x, train=True)[0], x)
    assert out.shape == (3, 7, 7, 128)


@pytest.mark.parametrize(
    "head", [TwoFCHead(5, 8), VGGHead(5, 8, dropout=0.0), Res5Head(5, width=0.0625, norm=GroupNorm)]
)
def test_offsets_are_for_each_class(head, filled):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4, 4, 64)).astype(np.float32))
    variables = filled(head, x)
    bias = jnp.arange(20.0)
    variables["params"]["predictor"]["bbox_pred"] = {
        "kernel": jnp.zeros_like(variables["params"]["predictor"]["bbox_pred"]["kernel"]),
        "bias": bias,
    }
    logits, offsets = jax.jit(lambda variables: head.apply(variables, x, train=False))(variables)
    assert logits.shape == (3, 5)
    np.testing.assert_array_equal(offsets, np.broadcast_to(bias.reshape(1, 5, 4), (3, 5, 4)))
