"""FCN on ResNet: torchvision's parameters, stride 8, and the side classifier in training only."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.fcn_resnet import FCNResNet, FCNResNet50, FCNResNet101
from jaxvision.ops.dispatch import plain_forms


@pytest.mark.parametrize(
    ("make", "parameters"), [(FCNResNet50, 35_322_218), pytest.param(FCNResNet101, 54_314_346, marks=pytest.mark.long)]
)
def test_parameters_of_torchvision(make, parameters: int):
    x = jax.ShapeDtypeStruct((1, 65, 97, 3), jnp.float32)
    net = make(21)
    variables = jax.eval_shape(lambda x: net.init(jax.random.PRNGKey(0), x, train=True), x)
    assert sum(int(np.prod(p.shape)) for p in jax.tree.leaves(variables["params"])) == parameters
    out = jax.eval_shape(lambda v, x: net.apply(v, x, train=False), variables, x)
    assert out["layer4"].shape == (1, 9, 13, 2048) and out["logits"].shape == (1, 65, 97, 21)
    assert "aux_layer3" not in out


@pytest.mark.long
def test_the_side_classifier_learns_too(filled: Callable):
    net = FCNResNet(3, 10, width=1 / 16)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 33, 40, 3)), jnp.float32)
    keys = {"dropout": jax.random.PRNGKey(1)}
    variables = filled(net, x, train=True)

    def loss(params):
        outputs, _ = net.apply({**variables, "params": params}, x, train=True, mutable=["batch_stats"], rngs=keys)
        return sum(jnp.square(outputs[name] - 1).sum() for name in ("logits", "aux_layer3"))

    with plain_forms():
        grads = jax.jit(jax.grad(loss))(variables["params"])
    assert jnp.abs(grads["aux_head"]["score"]["kernel"]).max() > 0
    assert all(jnp.isfinite(g).all() for g in jax.tree.leaves(grads))
