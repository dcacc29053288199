"""The backbones of the settings: depth, stem, channels and normalisation, by shapes alone."""

from functools import partial

import jax
import jax.numpy as jnp
import pytest

from experiments.ssl import colorization, context_encoder, jigsaw, relative_patch, rotation
from jaxvision.data.inputs import Inputs
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


@pytest.mark.parametrize(
    ("kind", "side", "features"),
    [
        ("alexnet", 227, 9216),
        ("alexnet_pieces", 64, 1024),
        ("context", 96, 2304),
        ("nin", 32, 192),
        ("dilated", 32, 512),
        ("strided", 32, 512),
    ],
)
def test_the_networks_of_pretext_papers_give_features(kind: str, side: int, features: int):
    network, images = Backbone(kind, width=1.0).make(), jnp.zeros((2, side, side, 3))
    outputs, _ = jax.eval_shape(partial(network.init_with_output, train=True), jax.random.PRNGKey(0), images)
    assert outputs["pool"].shape == (2, features)


def test_tasks_on_maps_need_a_resnet_and_so_does_a_judge():
    assert Backbone().with_maps().depth == 18
    with pytest.raises(
        ValueError, match="--backbone.kind=nin: this task reads the last map; choose resnet, dilated or strided"
    ):
        Backbone("nin").with_maps()


def test_the_presets_that_are_called_paper_are_on_the_papers_networks():
    assert (
        jigsaw.PRESETS["paper"].backbone.kind == "alexnet_pieces" and rotation.PRESETS["paper"].backbone.kind == "nin"
    )
    assert colorization.PRESETS["paper"].backbone.kind == "dilated" and colorization.PRESETS["paper"].refining == 2
    filling = context_encoder.PRESETS["paper"]
    assert (filling.backbone.kind, filling.bottleneck, filling.judge_width) == ("strided", 4000, 0.5)
    places = relative_patch.PRESETS["paper"]
    assert (places.backbone.kind, places.last, places.rms, places.pixels.range) == ("context", 4096, 50, 255)
    assert relative_patch.PRESETS["resnet18"].backbone == RESNET18


def test_patches_of_a_size_in_grey_levels_need_pixels_in_grey_levels():
    with pytest.raises(ValueError, match=r"^--rms=50: patches must be in grey levels; add --pixels.range=255, or "):
        relative_patch.build(relative_patch.Config(rms=50.0), Inputs())


def test_the_first_layers_and_the_normalisation_are_those_asked_for():
    norm = partial(SplitBatchNorm, groups=2)
    network = Backbone(stem="imagenet").make(norm)
    assert network.norm is norm and network.stem == "imagenet"
    assert Backbone(remat=True).make().remat and not network.remat
