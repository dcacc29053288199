from jaxvision.models.faster_rcnn import resnet_fpn
from jaxvision.weights.detectors import FASTER_RCNN, MASK_RCNN
from tests.weights.layer_names import assert_same_layers


def test_faster_rcnn() -> None:
    assert_same_layers(FASTER_RCNN, resnet_fpn(91), 64)


def test_mask_rcnn() -> None:
    assert_same_layers(MASK_RCNN, resnet_fpn(91, masks=True), 64)
