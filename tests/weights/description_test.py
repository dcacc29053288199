"""The line about imported weights, and VGG's own in the networks that are made of its layers."""

from collections.abc import Callable
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models import faster_rcnn
from jaxvision.models.dense_head import to_convolutions
from jaxvision.models.fcn import FCN
from jaxvision.models.resnet import ResNet
from jaxvision.models.vgg import VGG16
from jaxvision.weights import torchvision
from jaxvision.weights.description import describe
from jaxvision.weights.imported import Imported, merge
from tests.weights.torch_bytes import saved

WIDTH = 0.0625


def kernel(*shape: int) -> dict[str, np.ndarray]:
    return {"kernel": np.zeros(shape, np.float32)}


def test_it_counts_and_names_what_was_taken_what_is_new_and_what_was_left_out():
    layers = {"a": kernel(2, 3), "fc6": kernel(3, 4), "fc7": kernel(4, 4), "fc8": kernel(4, 10)}
    imported = Imported(
        {"params": layers}, None, None, "vgg.pth", "vgg", head=("fc8",), movable=("fc6", "fc7")
    ).without_head()
    heads = {"fc6": kernel(3, 4), "scores": {"b": kernel(4, 2), "c": kernel(4, 2)}}
    variables = {"params": {"trunk": {"a": kernel(2, 3)}, "head": heads}, "batch_stats": {}}
    assert describe(variables, imported) == (
        "vgg.pth: 18 parameters taken, of 74 in the file and 34 in the network; 1 layer in trunk: a; 1 layer in head: "
        "fc6; new: head/scores; left out: fc7, fc8"
    )
    same = describe({"params": layers}, Imported({"params": layers}, None, None, "file"))
    assert same == "file: 74 parameters taken, of 74 in the file and 74 in the network; 4 layers in the network: " + (
        "a, fc6, fc7, fc8"
    )


NETWORKS: dict[str, tuple[nn.Module, int, str, str]] = {
    "Fast R-CNN": (faster_rcnn.vgg16(21, width=WIDTH).clone(rpn=None), 64, "box_head", "box_head/predictor"),
    "Faster R-CNN": (faster_rcnn.vgg16(21, width=WIDTH), 64, "box_head", "rpn, box_head/predictor"),
    "FCN": (FCN(21, 32, WIDTH), 64, "head", "score_fc7"),
}


@pytest.mark.parametrize("name", list(NETWORKS))
def test_vggs_fully_connected_layers_go_into_the_networks_that_have_them(
    name: str, filled: Callable[..., dict], tmp_path: Path
):
    model, size, head, new = NETWORKS[name]
    vgg = filled(VGG16(10, width=WIDTH), jnp.zeros((1, 224, 224, 3)))
    file = saved(tmp_path / "vgg16.pth", torchvision.write(vgg)[1])
    imported = torchvision.read(str(file)).without_head()
    image = jnp.zeros((1, size, size, 3))
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), image, train=False))
    merged = merge(shapes, imported)["params"][head]
    expected = to_convolutions(vgg["params"]) if name == "FCN" else vgg["params"]
    for layer in ("fc6", "fc7"):
        for leaf, value in expected[layer].items():
            np.testing.assert_array_equal(merged[layer][leaf], value)
    account = describe(shapes, imported)
    assert f"2 layers in {head}: fc6, fc7; " in account and account.endswith("; left out: fc8")
    assert set(account.split("new: ")[1].split("; ")[0].split(", ")) == set(new.split(", "))


def test_a_resnets_last_stage_goes_into_the_head_of_the_detector_on_one_map(
    filled: Callable[..., dict], tmp_path: Path
):
    resnet = filled(ResNet(10, 50, width=WIDTH), jnp.zeros((1, 33, 33, 3)))
    file = saved(tmp_path / "resnet50.pth", torchvision.write(resnet)[1])
    imported, image = torchvision.read(str(file)).without_head(), jnp.zeros((1, 64, 64, 3))
    c4 = faster_rcnn.resnet_c4(21, width=WIDTH)
    shapes = jax.eval_shape(lambda: c4.init(jax.random.key(0), image, train=False))
    merged = merge(shapes, imported)
    for collection, leaf in (("params", "scale"), ("batch_stats", "var")):
        ours = merged[collection]["box_head"]["res5"]["layer4_2"]["bn3"][leaf]
        np.testing.assert_array_equal(ours, resnet[collection]["layer4_2"]["bn3"][leaf])
    assert "new: box_head/predictor, rpn; left out: fc" in describe(shapes, imported)
