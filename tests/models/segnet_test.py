"""SegNet: parameters by hand, odd sizes, and unpooling to where the maxima were."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.models.segnet import SegNet
from jaxvision.ops.dispatch import plain_forms

ENCODER = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 256),
           (256, 512), *[(512, 512)] * 5]  # fmt: skip


def test_parameters_are_those_of_two_mirrored_trunks():
    x = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    variables = jax.eval_shape(lambda x: SegNet(11).init(jax.random.PRNGKey(0), x, train=False), x)
    layers = ENCODER + [(out, into) for into, out in reversed(ENCODER[1:])]
    by_hand = sum(9 * into * out + out + 2 * out for into, out in layers) + 9 * 64 * 11 + 11
    assert sum(int(np.prod(p.shape)) for p in jax.tree.leaves(variables["params"])) == by_hand


def test_any_size_and_unpooled_values_stand_where_they_came_from(filled: Callable):
    net = SegNet(3, width=1 / 16)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 45, 64, 3)), jnp.float32)
    run = jax.jit(partial(net.apply, train=True, mutable=["batch_stats"]))
    with plain_forms():
        features, _ = run(filled(net, x), x)
    assert features["logits"].shape == (2, 45, 64, 3)
    assert features["pool1"].shape == (2, 32, 32, 4) and features["unpool5"].shape == (2, 4, 4, 32)
    values = np.asarray(features["unpool5"]).reshape(2, 2, 2, 2, 2, 32)  # image, row, in it, column, in it, channel
    assert ((values != 0).sum((2, 4)) <= 1).all()
