import pytest

from jaxvision.models.alexnet import AlexNet
from jaxvision.models.googlenet import GoogLeNet
from jaxvision.models.vgg import VGG
from jaxvision.weights.classifiers import ALEXNET, GOOGLENET
from jaxvision.weights.classifiers import VGG as VGGS
from tests.weights.layer_names import assert_same_layers


def test_alexnet() -> None:
    assert_same_layers(ALEXNET, AlexNet(variant="torchvision"), 224)


@pytest.mark.parametrize("table", VGGS, ids=lambda table: table.name)
def test_vgg(table) -> None:
    depth, _, norm = table.name.removeprefix("vgg").partition("_")
    net = {"11": "A", "13": "B", "16": "D", "19": "E"}[depth]
    assert_same_layers(table, VGG(net=net, batch_norm=bool(norm)), 224)


def test_googlenet_with_its_side_classifiers() -> None:
    assert_same_layers(GOOGLENET, GoogLeNet(variant="torchvision"), 224, train=True)
