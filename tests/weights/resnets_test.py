import pytest

from jaxvision.models.resnet import ResNet
from jaxvision.weights.resnets import RESNET
from tests.weights.layer_names import assert_same_layers


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_resnet(depth: int) -> None:
    assert_same_layers(RESNET, ResNet(depth=depth), 64)
