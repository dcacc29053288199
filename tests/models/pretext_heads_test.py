"""Heads: shared towers, late fusion, decoders at the right resolution."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.pretext_heads import ChannelwiseDense, Colorizer, ContextEncoder, PieceClassifier, doublings
from jaxvision.models.resnet import ResNet

KEY = jax.random.PRNGKey(0)


class Encoder(nn.Module):
    """One convolution of stride 8."""

    @nn.compact
    def __call__(self, x, *, train):
        x = nn.relu(nn.Conv(6, (8, 8), (8, 8), padding=((0, 0), (0, 0)))(x))
        return {"pool": x.mean((1, 2)), "layer4": x}


def count(tree) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def test_towers_share_their_weights_and_are_fused_late():
    pieces = jax.random.normal(KEY, (2, 3, 8, 8, 3))
    model = PieceClassifier(Encoder(), num_classes=5, tower=4, joint=7)
    variables = model.init(KEY, pieces, train=True)
    assert set(variables["params"]) == {"encoder", "fc6", "fc6_bn", "fc7", "fc7_bn", "answer"}
    assert count(variables["params"]["fc6"]) == 6 * 4 and count(variables["params"]["fc7"]) == 3 * 4 * 7
    outputs = model.apply(variables, pieces, train=False)
    assert outputs["pool"].shape == (2, 3, 6) and outputs["logits"].shape == (2, 5)
    own = Encoder().apply({"params": variables["params"]["encoder"]}, pieces[1], train=False)["pool"]
    np.testing.assert_allclose(outputs["pool"][1], own, rtol=1e-5)
    order = jnp.array([2, 0, 1])
    moved = model.apply(variables, pieces[:, order], train=False)
    np.testing.assert_allclose(moved["pool"], outputs["pool"][:, order], rtol=1e-5)
    assert not np.allclose(moved["logits"], outputs["logits"])  # the order is what is to be told


def test_a_last_layer_stands_behind_the_joint_one():
    model, pieces = PieceClassifier(Encoder(), num_classes=5, tower=4, joint=7, last=3), jnp.zeros((2, 2, 8, 8, 3))
    params = jax.eval_shape(lambda: model.init(KEY, pieces, train=True))["params"]
    assert set(params) == {"encoder", "fc6", "fc6_bn", "fc7", "fc7_bn", "fc8", "answer"}
    assert count(params["fc8"]) == 7 * 3 + 3 and count(params["answer"]) == 3 * 5 + 5


def test_without_layers_the_head_is_linear():
    pieces = jax.random.normal(KEY, (2, 1, 8, 8, 3))
    model = PieceClassifier(Encoder(), num_classes=4)
    variables = model.init(KEY, pieces, train=True)
    assert set(variables["params"]) == {"encoder", "answer"} and count(variables["params"]["answer"]) == 6 * 4 + 4


def test_colors_come_at_a_quarter_of_the_resolution():
    for size, stem in ((32, "cifar"), (64, "imagenet")):
        model = Colorizer(ResNet(None, 18, stem=stem, width=1 / 32), bins=11)
        images = jnp.zeros((1, size, size, 3))
        shapes = jax.eval_shape(lambda x, net=model: net.init_with_output(KEY, x, train=False), images)
        assert shapes[0]["logits"].shape == (1, size // 4, size // 4, 11)
        assert {"encoder", "up1", "colors"} <= set(shapes[1]["params"])
        assert "encoder" in shapes[1]["batch_stats"]


def test_the_bottleneck_connects_places_within_a_channel():
    x = jax.random.normal(KEY, (2, 2, 3, 4))
    variables = ChannelwiseDense().init(KEY, x)
    kernel, bias = variables["params"]["kernel"], variables["params"]["bias"]
    assert kernel.shape == (4, 6, 6) and bias.shape == (6, 4)
    found = ChannelwiseDense().apply(variables, x)
    expected = np.stack([np.asarray(x[..., c]).reshape(2, 6) @ np.asarray(kernel[c]) for c in range(4)], axis=-1)
    np.testing.assert_allclose(found, expected.reshape(2, 2, 3, 4), atol=1e-5)
    np.testing.assert_allclose(kernel.std(), 6**-0.5, rtol=0.3)
    slopes = jax.jacobian(lambda v: ChannelwiseDense().apply(variables, v)[0, 0, 0])(x)[:, 0]
    assert (slopes[0, ..., 0] != 0).all() and not slopes[0, ..., 1:].any()


def test_a_fill_is_as_large_as_the_hole_and_draws_on_all_around():
    model = ContextEncoder(Encoder(), hole=16)
    images = jax.random.normal(KEY, (2, 32, 32, 3))
    variables = model.init(KEY, images, train=True)
    fill = model.apply(variables, images, train=False)["fill"]
    assert fill.shape == (2, 16, 16, 3) and jnp.abs(fill).max() <= 1
    corner = images.at[:, :8, :8].set(9.0)
    changed = model.apply(variables, corner, train=False)["fill"] != fill
    assert changed[:, -1, -1].any()  # the opposite corner of the hole
    assert {"encoder", "bottleneck", "across", "fill"} <= set(variables["params"])


def test_sizes_that_no_doubling_gives():
    assert [doublings(4, t, "x") for t in (4, 8, 64)] == [0, 1, 4]
    with pytest.raises(ValueError, match="image_size: the encoder's last map of 4 pixels, doubled, never is x's 7"):
        doublings(4, 7, "x")
    with pytest.raises(ValueError, match="doubled, never is the hole's 2"):
        doublings(4, 2, "the hole")
    with pytest.raises(ValueError, match="--hole=4: not larger than the encoder's last map"):
        ContextEncoder(Encoder(), hole=4).init(KEY, jnp.zeros((1, 32, 32, 3)), train=True)
