"""U-Net: the paper's counts and sizes, and any size with padding."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.layers import BatchNorm
from jaxvision.models.unet import UNet
from jaxvision.ops.dispatch import plain_forms


def shapes(net: UNet, size: tuple[int, int], channels: int = 3) -> tuple[dict, dict]:
    """Abstract variables and features."""
    x = jax.ShapeDtypeStruct((1, *size, channels), jnp.float32)
    variables = jax.eval_shape(lambda x: net.init(jax.random.PRNGKey(0), x, train=False), x)
    return variables, jax.eval_shape(lambda v, x: net.apply(v, x, train=False), variables, x)


def count(tree: dict) -> int:
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


def test_the_paper_has_31_million_parameters_and_388_of_572_pixels():
    variables, features = shapes(UNet(2, valid=True), (572, 572), channels=1)
    assert count(variables["params"]) == 31_030_658
    assert features["logits"].shape == (1, 388, 388, 2) and features["down5"].shape == (1, 28, 28, 1024)


def test_without_padding_a_side_must_halve_evenly():
    with pytest.raises(ValueError, match="a side of 570 pixels does not halve evenly; choose .*572"):
        shapes(UNet(2, valid=True), (572, 570))


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (16, 50)])
def test_with_padding_every_pixel_of_any_size_has_logits(size: tuple[int, int], filled: Callable):
    net = UNet(3, levels=4, width=1 / 16, norm=BatchNorm)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, *size, 3)), jnp.float32)
    variables = filled(net, x)

    def loss(params):
        logits = net.apply({**variables, "params": params}, x, train=False)["logits"]
        return logits.sum(), logits

    with plain_forms():
        grads, logits = jax.jit(jax.grad(loss, has_aux=True))(variables["params"])
    assert logits.shape == (2, *size, 3)
    assert all(jnp.isfinite(g).all() for g in jax.tree.leaves(grads))


def test_signals_keep_their_size_on_the_way_up():
    """He's rule for the up-convolutions counts the one tap that reaches a pixel, not all four."""
    net = UNet(3, levels=4, width=0.25, dropout=0.0)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 64, 64, 3)), jnp.float32)
    with plain_forms():
        features, _ = jax.jit(partial(net.init_with_output, train=False))(jax.random.PRNGKey(0), x)
    sizes = [float(jnp.sqrt(jnp.mean(features[name] ** 2))) for name in ("down4", "up3", "up2", "up1")]
    assert min(sizes) > 0.4 * max(sizes)
