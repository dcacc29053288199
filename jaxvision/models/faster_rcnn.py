"""Faster R-CNN (Ren et al. 2015), Mask R-CNN (He et al. 2017) and Fast R-CNN (Girshick 2015) on several backbones.

Input: images [B, H, W, 3], float, normalised, on a canvas of one size; RoIs [B, R, 4] in pixels of the canvas.
Outputs of a detector's parts, with K classes, of which 0 is the background:
    features: a dict of maps [B, h, w, C]          of the backbone or pyramid
    propose: an `ops.proposals.Level` for each map objectness, offsets and anchors
    box: [B, R, K] and [B, R, K, 4]                class logits, and box offsets for each class
    mask: [B, R, S, S, K]                          mask logits for each class
Without a mask branch the network is Faster R-CNN, with one Mask R-CNN; without an RPN it is Fast R-CNN.
"""

from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.box_head import Res5Head, TwoFCHead, VGGHead
from jaxvision.models.fpn import FPN
from jaxvision.models.layers import BatchNorm, Dtype, Layer, scaled
from jaxvision.models.low_rank import Ranks
from jaxvision.models.mask_head import MaskHead
from jaxvision.models.resnet import ResNet
from jaxvision.models.rpn import RPN, Anchors
from jaxvision.models.vgg import VGG
from jaxvision.ops.proposals import Level
from jaxvision.ops.roi import multilevel_roi_align, roi_warp
from jaxvision.ops.roi_pooling import roi_pool

Maps = dict[str, Float[Array, "B _ _ C"]]

PYRAMID = Anchors()
FIVE_SIZES = Anchors(((32.0, 64.0, 128.0, 256.0, 512.0),))  # He et al. 2017, section 3.1, on a single map
LEGACY = Anchors(((128.0, 256.0, 512.0),), legacy=True)


class RoIs(NamedTuple):
    """The operation that cuts the features of RoIs out of maps. ValueError: an operation that the maps do not allow."""

    strides: dict[str, int]  # pixels a cell, of each map that is used
    size: int = 7  # features a side, for the box head
    mask_size: int = 14  # features a side, for the mask head
    operation: str = "align"  # "align", or on a single map "pool" (Girshick 2015) or "warp" (Dai et al. 2016)
    aligned: bool = True  # see `ops.roi.roi_align`
    samples: int = 2  # of "align" and "warp" along each axis of a bin; 0: as many as it has cells

    def features(self, maps: Maps, rois: Float[Array, "B R 4"], size: int) -> Float[Array, "N P Q C"]:
        """Cut out the features of every RoI.

        Args:
            maps: of the backbone or pyramid.
            rois: boxes in pixels of the canvas.
            size: P = Q, features a side.

        Returns:
            The features, with N = B · R: the RoIs of all images in one row.
        """
        pooled = self._operation()([maps[name] for name in self.strides], rois, (size, size))
        return pooled.reshape(-1, size, size, pooled.shape[-1])

    def _operation(self) -> Any:
        scales = [1 / stride for stride in self.strides.values()]
        if self.operation == "align":
            options: dict[str, Any] = {"aligned": self.aligned, "sampling_ratio": self.samples}
            return partial(multilevel_roi_align, spatial_scales=scales, **options)
        if self.operation not in ("pool", "warp") or len(scales) != 1:
            raise ValueError(f"RoI operation {self.operation!r}: choose align, or on a single map pool or warp")
        if self.operation == "pool":
            single: Any = partial(roi_pool, spatial_scale=scales[0])
        else:
            single = partial(roi_warp, spatial_scale=scales[0], sampling_ratio=self.samples)
        return lambda maps, rois, size: single(maps[0], rois, size)


class FasterRCNN(nn.Module):
    """A two-stage detector in its four parts, which training and inference call in turn (through linen's `method`).

        maps = net.features(images, train=train)                 # named maps of the backbone or pyramid
        levels = net.propose(maps, canvas)                       # objectness, offsets and anchors of each map
        logits, offsets = net.box(maps, rois, train=train)       # [B, R, K] and [B, R, K, 4]
        masks = net.mask(maps, rois, train=train)                # logits [B, R, S, S, K]

    See `with_pyramid`, `resnet_fpn`, `resnet_c4`, `resnet_fc` and `vgg16`. With `net.clone(rpn=None)` proposals come
    from elsewhere.

    Example:
        >>> from jaxvision.models.faster_rcnn import resnet_fpn
        >>> model, images = resnet_fpn(21), jnp.zeros((1, 64, 64, 3))
        >>> outputs, _ = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), images, train=False))
        >>> outputs["logits"].shape, outputs["offsets"].shape
        ((1, 1, 21), (1, 1, 21, 4))
    """

    backbone: nn.Module  # (images, *, train) -> maps by name
    neck: nn.Module | None  # (maps) -> maps by name, such as a pyramid
    rpn: RPN | None  # None: proposals come from elsewhere
    box_head: nn.Module  # (features, *, train) -> class logits and offsets
    mask_head: MaskHead | None  # None: no masks
    rois: RoIs  # how RoIs are cut out
    map_names: tuple[str, ...]  # the backbone's outputs that the neck takes, finest first; without one: the only map

    def __call__(self, images: Float[Array, "B H W 3"], *, train: bool) -> dict[str, Array]:
        """Run every part once, on one RoI for each image, the whole canvas: this initialises all parameters."""
        canvas = images.shape[1], images.shape[2]
        maps = self.features(images, train=train)
        proposals = {} if self.rpn is None else {"objectness": self.propose(maps, canvas)[0].logits}
        whole = jnp.array([[0, 0, canvas[1], canvas[0]]], jnp.float32)
        rois = jnp.broadcast_to(whole[None], (images.shape[0], 1, 4))
        logits, offsets = self.box(maps, rois, train=train)
        outputs = {**maps, **proposals, "logits": logits, "offsets": offsets}
        return outputs if self.mask_head is None else {**outputs, "masks": self.mask(maps, rois, train=train)}

    def features(self, images: Float[Array, "B H W 3"], *, train: bool) -> Maps:
        """Compute the maps that proposals and RoIs are taken from."""
        outputs = self.backbone(images, train=train)
        maps = {name: outputs[name] for name in self.map_names}
        return maps if self.neck is None else self.neck(list(maps.values()))

    def propose(self, maps: Maps, canvas: tuple[int, int]) -> list[Level]:
        """Compute objectness and offsets of the anchors of every map; `canvas` is the images' (height, width)."""
        assert self.rpn is not None
        return self.rpn(list(maps.values()), canvas)

    def box(
        self, maps: Maps, rois: Float[Array, "B R 4"], *, train: bool
    ) -> tuple[Float[Array, "B R K"], Float[Array, "B R K 4"]]:
        """Classify RoIs and refine their boxes.

        Args:
            maps: of `features`.
            rois: boxes in pixels of the canvas.
            train: drop units, normalise by the batch's statistics.

        Returns:
            Class logits, and box offsets for each class.
        """
        logits, offsets = self.box_head(self.rois.features(maps, rois, self.rois.size), train=train)
        return logits.reshape(*rois.shape[:2], -1), offsets.reshape(*rois.shape[:2], -1, 4)

    def mask(self, maps: Maps, rois: Float[Array, "B R 4"], *, train: bool) -> Float[Array, "B R S S K"]:
        """Segment the object in each RoI.

        Args:
            maps: of `features`.
            rois: boxes in pixels of the canvas.
            train: normalise by the batch's statistics.

        Returns:
            Mask logits for each class.
        """
        x = self.rois.features(maps, rois, self.rois.mask_size)
        if isinstance(self.box_head, Res5Head):
            x = self.box_head.res5(x, train=train)
        assert self.mask_head is not None
        logits = self.mask_head(x)
        return logits.reshape(*rois.shape[:2], *logits.shape[1:])


def resnet_fpn(
    num_classes: int,
    *,
    depth: int = 50,
    width: float = 1.0,
    masks: bool = False,
    norm: Layer = BatchNorm,
    anchors: Anchors = PYRAMID,
    aligned: bool = True,
    version: str = "v1.5",
    dtype: Dtype = jnp.float32,
) -> FasterRCNN:
    """Make a ResNet with a feature pyramid (Lin et al. 2017; He et al. 2017), for canvases of sides divisible by 32.

    Args:
        num_classes: K, with the background.
        depth: of the ResNet.
        width: fraction of the papers' channels everywhere.
        masks: whether there is a mask branch.
        norm: normalisation behind each convolution of the ResNet.
        anchors: of the pyramid's five maps; torchvision's weights need `rounded` ones.
        aligned: see `RoIs`; torchvision's weights need False.
        version: see `ResNet`.
        dtype: type that is computed in.

    Returns:
        The network, before its parameters are drawn.
    """
    backbone = ResNet(None, depth, version, width=width, norm=norm, dtype=dtype)
    maps = ("layer1", "layer2", "layer3", "layer4")
    return with_pyramid(
        num_classes, backbone, maps, width=width, masks=masks, anchors=anchors, aligned=aligned, dtype=dtype
    )


def with_pyramid(
    num_classes: int,
    backbone: nn.Module,
    map_names: tuple[str, ...],
    *,
    width: float = 1.0,
    masks: bool = False,
    anchors: Anchors = PYRAMID,
    aligned: bool = True,
    dtype: Dtype = jnp.float32,
) -> FasterRCNN:
    """Put a feature pyramid, an RPN and the heads on any backbone.

    Args:
        num_classes: classes with the background.
        backbone: module called as `backbone(images, train=train)`, which returns a dict of maps.
        map_names: keys of the four maps of strides 4, 8, 16 and 32 in that dict.
        width: fraction of the papers' channels in pyramid, RPN and heads.
        masks: whether there is a mask branch.
        anchors: anchors of the pyramid's five maps.
        aligned: see `RoIs`.
        dtype: type of the computation.

    Returns:
        The network, with random weights until it is initialised.
    """
    channels = scaled(256, width)
    return FasterRCNN(
        backbone,
        FPN(channels, dtype),
        RPN(channels, anchors, dtype),
        TwoFCHead(num_classes, scaled(1024, width), dtype=dtype),
        MaskHead(num_classes, channels=channels, dtype=dtype) if masks else None,
        RoIs({"p2": 4, "p3": 8, "p4": 16, "p5": 32}, aligned=aligned),
        map_names,
    )


def resnet_c4(
    num_classes: int,
    *,
    depth: int = 50,
    width: float = 1.0,
    masks: bool = False,
    norm: Layer = BatchNorm,
    anchors: Anchors = FIVE_SIZES,
    operation: str = "align",
    version: str = "v1.5",
    dtype: Dtype = jnp.float32,
) -> FasterRCNN:
    """Make the C4 detector: a ResNet's stages up to conv4, the last one on each RoI (He et al. 2016, appendix A).

    Args:
        num_classes: K, with the background.
        depth: of the ResNet: 50, 101 or 152.
        width: fraction of the papers' channels everywhere.
        masks: whether there is a mask branch.
        norm: normalisation behind each convolution of the ResNet.
        anchors: of the RPN.
        operation: see `RoIs`.
        version: see `ResNet`.
        dtype: type that is computed in.

    Returns:
        The network, before its parameters are drawn.

    Raises:
        ValueError: a depth whose blocks are no bottlenecks.
    """
    if depth < 50:
        raise ValueError(f"resnet_c4 depth {depth}: choose 50, 101 or 152, whose blocks are bottlenecks")
    return FasterRCNN(
        ResNet(None, depth, version, width=width, stages=3, norm=norm, dtype=dtype),
        None,
        RPN(scaled(1024, width), anchors, dtype),
        Res5Head(num_classes, version, width, norm, dtype),
        MaskHead(num_classes, 0, scaled(256, width), dtype) if masks else None,
        RoIs({"layer3": 16}, size=14, operation=operation),
        map_names=("layer3",),
    )


def resnet_fc(
    num_classes: int,
    *,
    depth: int = 18,
    width: float = 1.0,
    masks: bool = False,
    norm: Layer = BatchNorm,
    anchors: Anchors = FIVE_SIZES,
    operation: str = "pool",
    stride: int = 8,
    ranks: Ranks = (0, 0),
    dtype: Dtype = jnp.float32,
) -> FasterRCNN:
    """Make a ResNet up to layer3 with fc6 and fc7 on 7×7 RoIPool, Fast R-CNN's design (Girshick 2015, figure 1).

    Args:
        num_classes: K, with the background.
        depth: of the ResNet.
        width: fraction of the papers' channels everywhere.
        masks: whether there is a mask branch.
        norm: normalisation behind each convolution of the ResNet.
        anchors: of the RPN.
        operation: see `RoIs`.
        stride: pixels a cell of layer3: 8, by dilation, for objects of a few dozen pixels, or 16.
        ranks: of fc6 and of fc7, see `box_head`.
        dtype: type that is computed in.

    Returns:
        The network, before its parameters are drawn.
    """
    return FasterRCNN(
        ResNet(None, depth, output_stride=stride, width=width, stages=3, norm=norm, dtype=dtype),
        None,
        RPN(scaled(256, width), anchors, dtype),
        TwoFCHead(num_classes, scaled(1024, width), ranks, dtype),
        MaskHead(num_classes, channels=scaled(256, width), dtype=dtype) if masks else None,
        RoIs({"layer3": stride}, operation=operation),
        map_names=("layer3",),
    )


def vgg16(
    num_classes: int,
    *,
    width: float = 1.0,
    anchors: Anchors = LEGACY,
    operation: str = "pool",
    ranks: Ranks = (0, 0),
    dtype: Dtype = jnp.float32,
) -> FasterRCNN:
    """Make the network of Ren et al. (2015): the convolutions of VGG-16, and its fc6 and fc7 on 7×7 RoIPool.

    It has no norm: without ImageNet's weights it learns slowly, and only from kernels of He's scale.

    Args:
        num_classes: K, with the background.
        width: fraction of the papers' channels everywhere.
        anchors: of the RPN.
        operation: see `RoIs`.
        ranks: of fc6 and of fc7, see `box_head`.
        dtype: type that is computed in.

    Returns:
        The network, before its parameters are drawn.
    """
    return FasterRCNN(
        VGG(None, "D", width=width, head=False, kernel_init=nn.initializers.he_normal(), dtype=dtype),
        None,
        RPN(scaled(512, width), anchors, dtype),
        VGGHead(num_classes, scaled(4096, width), ranks=ranks, dtype=dtype),
        None,
        RoIs({"conv5_3": 16}, operation=operation),
        map_names=("conv5_3",),
    )
