"""The flags of two-stage detectors reach the network, and flags that do not go together are refused."""

import flax.linen as nn
import jax
import numpy as np
import pytest

from experiments.detection import faster_rcnn, mask_rcnn
from jaxvision.recipes.detector_networks import HALF, SMALL, TINY, DetectorNetwork

# The table that py-faster-rcnn prints: (x0, y0, x1, y1), 1-based, both corners inside.
PY_FASTER_RCNN = [
    [-83, -39, 100, 56], [-175, -87, 192, 104], [-359, -183, 376, 200],
    [-55, -55, 72, 72], [-119, -119, 136, 136], [-247, -247, 264, 264],
    [-35, -79, 52, 96], [-79, -167, 96, 184], [-167, -343, 184, 360],
]  # fmt: skip


def first_anchors(network: DetectorNetwork) -> np.ndarray:
    """The nine anchors of the first cell of a map of stride 16."""
    rpn = network.make(21).rpn
    assert rpn is not None
    return np.asarray(rpn.anchors.on((64, 96), [(4, 6)])[0][:9])


def test_the_papers_preset_has_the_anchors_of_its_code():
    network = faster_rcnn.PRESETS["paper"].network
    assert network.legacy_anchors and network.backbone == "vgg16"
    np.testing.assert_array_equal(first_anchors(network), np.array(PY_FASTER_RCNN) - [1, 1, 0, 0])


def test_the_coco_preset_has_an_anchor_of_64_pixels_too():
    network = faster_rcnn.PRESETS["coco"].network
    rpn = network.make(81).rpn
    assert rpn is not None and rpn.anchors.per_cell == 12
    anchors = np.asarray(rpn.anchors.on((64, 96), [(4, 6)])[0][:12])
    np.testing.assert_array_equal(anchors[[1, 2, 3, 5, 6, 7, 9, 10, 11]], np.array(PY_FASTER_RCNN) - [1, 1, 0, 0])
    np.testing.assert_array_equal(anchors[4], [-24, -24, 40, 40])


def test_on_one_map_mask_rcnn_samples_as_many_points_as_cells():
    model = mask_rcnn.PRESETS["c4"].network.make(81, masks=True)
    assert model.rois.samples == 0 and model.rois.strides == {"layer3": 16} and model.mask_head is not None
    assert mask_rcnn.PRESETS["paper"].network.make(81, masks=True).rois.samples == 2
    maps = {"layer3": jax.ShapeDtypeStruct((1, 4, 6, 8), np.float32)}
    rois = jax.ShapeDtypeStruct((1, 3, 4), np.float32)
    assert jax.eval_shape(lambda m, r: model.rois.features(m, r, 14), maps, rois).shape == (3, 14, 14, 8)


@pytest.mark.parametrize("stride", [8, 16])
def test_one_map_with_two_layers_has_masks_by_every_roi_operation(stride: int):
    for roi in ("pool", "warp", "align"):
        model = DetectorNetwork("resnet_fc", 18, 0.25, roi=roi, map_stride=stride).make(3, masks=True)
        assert model.rois.strides == {"layer3": stride} and model.rois.operation == roi
        assert model.backbone.output_stride == stride and model.mask_head is not None


def test_other_networks_on_one_map_have_exact_anchors_around_the_cells_corner():
    anchors = first_anchors(DetectorNetwork("vgg16", anchor_sizes=(128.0, 256.0, 512.0)))
    np.testing.assert_allclose(anchors[3], [-64, -64, 64, 64])
    np.testing.assert_allclose(anchors[0], [-64 * 2**0.5, -64 / 2**0.5, 64 * 2**0.5, 64 / 2**0.5], rtol=1e-6)


def test_a_frozen_norm_is_that_of_the_weights():
    backbone = DetectorNetwork(norm="frozen", norm_epsilon=0.25).make(3).backbone
    assert backbone.norm().epsilon == 0.25


@pytest.mark.parametrize(
    ("network", "masks", "message"),
    [
        (DetectorNetwork(roi="pool"), False, "--network.roi=pool: a pyramid has align only"),
        (DetectorNetwork(legacy_anchors=True), False, "--network.legacy_anchors are for one map"),
        (DetectorNetwork("vgg16"), True, "--network.backbone=vgg16 has no mask branch"),
        (DetectorNetwork("resnet_c4", depth=18), False, "resnet_c4 depth 18"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(network: DetectorNetwork, masks: bool, message: str):
    with pytest.raises(ValueError, match=message):
        network.make(3, masks)


def test_frozen_norms_need_weights():
    with pytest.raises(ValueError, match="--network.norm=frozen never learns statistics"):
        DetectorNetwork(norm="frozen").make(3, imported=False)


def test_the_named_sizes_have_a_pyramid_and_masks_where_they_are_asked_for():
    for network in (SMALL, TINY, HALF):
        model = network.make(5, masks=True)
        assert isinstance(model.neck, nn.Module) and model.mask_head is not None
        assert network.make(5).mask_head is None and len(network.anchor_sizes) == 5


@pytest.mark.parametrize("backbone", ["resnet_fpn", "resnet_c4"])
def test_blocks_are_computed_anew_where_there_are_any(backbone: str):
    assert DetectorNetwork(backbone, remat=True).make(3).backbone.remat
    assert not DetectorNetwork(backbone).make(3).backbone.remat
    with pytest.raises(ValueError, match="--network.remat: vgg16 has no blocks"):
        DetectorNetwork("vgg16", remat=True).make(3)
