from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.models.layers import BatchNorm
from jaxvision.models.resnet import ResNet
from jaxvision.models.ssl_heads import Projected, ProjectionHead

X = jnp.asarray(np.random.default_rng(0).normal(size=(6, 16)).astype(np.float32))


def shapes(head: ProjectionHead) -> dict:
    found = jax.eval_shape(partial(head.init, train=True), jax.random.PRNGKey(0), X)
    return jax.tree.map(lambda leaf: leaf.shape, found)


def test_heads_of_the_papers():
    assert shapes(ProjectionHead(4)) == {"params": {"fc_out": {"kernel": (16, 4), "bias": (4,)}}}
    v2 = shapes(ProjectionHead(4, (16,)))["params"]
    assert v2["fc1"] == {"kernel": (16, 16), "bias": (16,)} and set(v2) == {"fc1", "fc_out"}
    simclr = shapes(ProjectionHead(4, (32,), BatchNorm))
    assert set(simclr["params"]) == {"fc1", "bn1", "fc_out", "bn_out"} and set(simclr["params"]["fc1"]) == {"kernel"}
    assert set(simclr["batch_stats"]) == {"bn1", "bn_out"}


def test_head_is_its_formula():
    head = ProjectionHead(4, (8,))
    variables = head.init(jax.random.PRNGKey(0), X, train=True)
    first, last = variables["params"]["fc1"], variables["params"]["fc_out"]
    hidden = np.maximum(X @ first["kernel"] + first["bias"][None], 0)
    expected = hidden @ last["kernel"] + last["bias"][None]
    np.testing.assert_allclose(head.apply(variables, X, train=True), expected, atol=1e-5)


def test_backbone_and_head_have_their_places():
    encoder = ResNet(None, 10, stem="cifar", width=1 / 16)
    model = Projected(encoder, ProjectionHead(4, (8,), BatchNorm))
    images = jnp.ones((2, 8, 8, 3))
    variables = jax.jit(partial(model.init, train=True))(jax.random.key(0, impl="rbg"), images)
    assert set(variables["params"]) == set(variables["batch_stats"]) == {"encoder", "projector"}
    outputs = jax.jit(partial(model.apply, train=False))(variables, images)
    alone = {collection: tree["encoder"] for collection, tree in variables.items()}
    expected = jax.jit(partial(encoder.apply, train=False))(alone, images)
    chex.assert_trees_all_close(outputs["pool"], expected["pool"], atol=1e-6)
    chex.assert_shape(outputs["embedding"], (2, 4))
    assert {"stem", "layer1", "layer4"} < set(outputs)
