"""The backbones of the settings: depth, stem, channels and normalisation, by shapes alone."""

from functools import partial

import jax
import jax.numpy as jnp
import pytest

from jaxvision.models.norms import SplitBatchNorm
from jaxvision.recipes.backbone import RESNET18, RESNET50, TINY, Backbone


@pytest.mark.parametrize(
    ("backbone", "channels"),
    [(RESNET18, 512), (RESNET50, 2048), (TINY, 16), (Backbone(depth=34, width=0.5), 256)],
    ids=str,
)
def test_features_have_the_channels_of_depth_and_width(backbone: Backbone, channels: int):
    images = jnp.zeros((2, 32, 32, 3))
    outputs, _ = jax.eval_shape(
        partial(backbone.make().init_with_output, train=False), jax.random.PRNGKey(0), images
    )  # fmt: skip
    assert outputs["pool"].shape == (2, channels)
    assert "logits" not in outputs


def test_the_first_layers_and_the_normalisation_are_those_asked_for():
    norm = partial(SplitBatchNorm, groups=2)
    network = Backbone(stem="imagenet").make(norm)
    assert network.norm is norm and network.stem == "imagenet"
    assert Backbone(remat=True).make().remat and not network.remat
