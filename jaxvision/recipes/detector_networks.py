"""Flags of the networks of Faster and Mask R-CNN, and the named sizes that presets choose from."""

import dataclasses
from functools import partial
from typing import Any, Literal

from jaxvision.models.faster_rcnn import FasterRCNN, resnet_c4, resnet_fc, resnet_fpn, vgg16
from jaxvision.models.layers import Layer
from jaxvision.models.norms import NORMS, FrozenBatchNorm
from jaxvision.models.rpn import Anchors
from jaxvision.tasks.proposals import ProposalConfig


@dataclasses.dataclass(frozen=True)
class DetectorNetwork:
    """Flags from which a two-stage detector with a region proposal network is made.

    A backbone of one's own is another choice of `backbone`, for which `make` calls `models.faster_rcnn.with_pyramid`.
    """

    backbone: Literal["resnet_fpn", "resnet_c4", "resnet_fc", "vgg16"] = (
        "resnet_fpn"  # a pyramid of maps, or one map of stride 16; with conv5 or with fc6 and fc7 on each RoI
    )
    depth: int = 50  # layers of a ResNet: 18, 34, 50, 101 or 152, 10 for tiny data; resnet_c4 has at least 50
    width: float = 1.0  # number of channels, as a fraction of the papers'
    norm: Literal["batch", "group", "frozen"] = "batch"  # group: for small batches; frozen: as in imported weights
    norm_epsilon: float = 1e-5  # frozen norms: added to the variance; 0 for torchvision's detectors
    anchor_sizes: tuple[float, ...] = (32.0, 64.0, 128.0, 256.0, 512.0)  # roots of areas, pixels; a pyramid: one a map
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)  # height / width of the anchors
    roi: Literal["align", "pool", "warp"] = "align"  # how features of RoIs are computed; a pyramid has align only
    rounded_anchors: bool = False  # pyramid: move anchors' corners to whole pixels, as torchvision's detectors do
    roi_aligned: bool = True  # pyramid: shift RoIs by half a cell before they are sampled; torchvision's do not
    map_stride: Literal[8, 16] = 16  # resnet_fc: pixels a cell of its map; 8, which takes dilation, for small objects
    remat: bool = False  # a ResNet keeps a block's ends alone for the gradient: less memory, more time
    legacy_anchors: bool = False  # one map: py-faster-rcnn's anchors of anchor_sizes, whose ratios are 0.5, 1 and 2
    roi_samples: int = 2  # align: samples along each axis of a bin; 0: as many as it has cells, as Detectron on one map

    def make(self, num_classes: int, masks: bool = False, *, imported: bool = True) -> FasterRCNN:
        """Build the network.

        Args:
            num_classes: classes with the background.
            masks: whether the network has a mask branch.
            imported: whether its weights come from a file, without which frozen norms have no statistics.

        Returns:
            The network, with random weights until it is initialised.

        Raises:
            ValueError: two flags do not go together, or frozen norms have no weights.
        """
        if self.norm == "frozen" and not imported:
            raise ValueError("--network.norm=frozen never learns statistics: it needs weights from --init_from")
        if self.remat and self.backbone == "vgg16":
            raise ValueError("--network.remat: vgg16 has no blocks to compute anew; choose another network.backbone")
        network = self._network(num_classes, masks)
        network = network.clone(rois=network.rois._replace(samples=self.roi_samples))
        return network.clone(backbone=network.backbone.clone(remat=True)) if self.remat else network

    def _network(self, num_classes: int, masks: bool) -> FasterRCNN:
        if self.backbone == "resnet_fpn":
            return self._with_pyramid(num_classes, masks)
        anchors = Anchors((self.anchor_sizes,), self.anchor_ratios, legacy=self.legacy_anchors)
        if self.backbone == "vgg16":
            if masks:
                raise ValueError("--network.backbone=vgg16 has no mask branch; choose another one")
            return vgg16(num_classes, width=self.width, anchors=anchors, operation=self.roi)
        make: Any = partial(resnet_fc, stride=self.map_stride) if self.backbone == "resnet_fc" else resnet_c4
        return make(
            num_classes,
            depth=self.depth,
            width=self.width,
            masks=masks,
            norm=self._norm(),
            anchors=anchors,
            operation=self.roi,
        )

    def _with_pyramid(self, num_classes: int, masks: bool) -> FasterRCNN:
        if self.roi != "align":
            raise ValueError(f"--network.roi={self.roi}: a pyramid has align only; choose another network.backbone")
        if self.legacy_anchors:
            raise ValueError("--network.legacy_anchors are for one map: choose another network.backbone")
        sizes = tuple((size,) for size in self.anchor_sizes)
        return resnet_fpn(
            num_classes,
            depth=self.depth,
            width=self.width,
            masks=masks,
            norm=self._norm(),
            anchors=Anchors(sizes, self.anchor_ratios, rounded=self.rounded_anchors),
            aligned=self.roi_aligned,
        )

    def _norm(self) -> Layer:
        return partial(FrozenBatchNorm, epsilon=self.norm_epsilon) if self.norm == "frozen" else NORMS[self.norm]


# Presets `quick`: canvases of 128 pixels.
SMALL = DetectorNetwork(depth=18, width=0.25, anchor_sizes=(16.0, 32.0, 48.0, 64.0, 96.0))
FEW_PROPOSALS = ProposalConfig(
    samples=128,
    positives=64,
    train_before_nms=256,
    train_after_nms=128,
    test_before_nms=256,
    test_after_nms=100,
)

# Presets `smoke`: canvases of 64 pixels.
TINY = DetectorNetwork(depth=10, width=0.125, anchor_sizes=(8.0, 16.0, 24.0, 32.0, 48.0))
FEWEST_PROPOSALS = ProposalConfig(
    samples=32,
    positives=16,
    train_before_nms=64,
    train_after_nms=32,
    test_before_nms=64,
    test_after_nms=16,
)

# Presets `photos`: networks that learn a few hundred photographs from random weights within the hour.
HALF = DetectorNetwork(depth=18, width=0.5, norm="group", anchor_sizes=(16.0, 32.0, 48.0, 64.0, 96.0))
MORE_PROPOSALS = dataclasses.replace(FEW_PROPOSALS, test_before_nms=400, test_after_nms=200)
