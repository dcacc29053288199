"""A precision reaches every module of a network, also those that it was given."""

import jax
import jax.numpy as jnp
import pytest

from jaxvision.models.faster_rcnn import resnet_fpn
from jaxvision.models.precision import in_precision
from jaxvision.models.pretext_heads import PieceClassifier
from jaxvision.models.resnet import ResNet
from jaxvision.models.ssl_heads import Projected, ProjectionHead


def test_every_part_of_a_detector_computes_in_it():
    made = in_precision(resnet_fpn(3, depth=10, width=1 / 64, masks=True), "bfloat16")
    parts = (made.backbone, made.neck, made.rpn, made.box_head, made.mask_head)
    assert {part.dtype for part in parts} == {jnp.bfloat16}


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (Projected(ResNet(None, 10, width=1 / 64), ProjectionHead(4, (8,))), (2, 32, 32, 3)),
        (PieceClassifier(ResNet(None, 10, width=1 / 64), 3, 4, 4), (2, 2, 32, 32, 3)),
    ],
)
def test_parameters_are_the_same_and_features_are_not(model, shape):
    half = in_precision(model, "bfloat16")
    run = lambda net: jax.eval_shape(  # noqa: E731
        lambda x: net.init_with_output(jax.random.PRNGKey(0), x, train=True), jnp.zeros(shape)
    )
    (outputs, variables), (expected, known) = run(half), run(model)
    assert jax.tree.map(jnp.shape, variables) == jax.tree.map(jnp.shape, known)
    assert {x.dtype for x in jax.tree.leaves(variables)} == {jnp.dtype(jnp.float32)}
    assert {x.dtype for x in jax.tree.leaves(outputs)} == {jnp.dtype(jnp.bfloat16)}
    assert {x.dtype for x in jax.tree.leaves(expected)} == {jnp.dtype(jnp.float32)}


@pytest.mark.parametrize("precision", ["float32", "tensorfloat32"])
def test_the_others_are_networks_of_float32(precision: str):
    model = ResNet(None, 10)
    assert in_precision(model, precision) == model
