import pytest

from jaxvision.models.fcn_resnet import FCNResNet
from jaxvision.weights.segmenters import FCN
from tests.weights.layer_names import assert_same_layers


@pytest.mark.parametrize("depth", [50, 101])
def test_fcn(depth: int) -> None:
    assert_same_layers(FCN, FCNResNet(21, depth), 65, train=True)
