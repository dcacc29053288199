"""Faster R-CNN (Ren et al. 2015), with a mask branch Mask R-CNN (He et al. 2017), without an RPN Fast R-CNN (Girshick
2015); on four kinds of backbone.
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
from jaxvision.ops.roi import multilevel_roi_align, roi_pool, roi_warp

Maps = dict[str, Float[Array, "B _ _ C"]]

PYRAMID = Anchors()
FIVE_SIZES = Anchors(((32.0, 64.0, 128.0, 256.0, 512.0),))  # He et al. 2017, section 3.1, on a single map
LEGACY = Anchors(((128.0, 256.0, 512.0),), legacy=True)


class RoIs(NamedTuple):
    """How a RoI's features are taken from the maps named in `strides` (pixels a cell).

    `operation`: "align", or on a single map also "pool" (Girshick 2015) and "warp" (Dai et al. 2016). `aligned` is that
    of `ops.roi.roi_align`.
    """

    strides: dict[str, int]
    size: int = 7
    mask_size: int = 14
    operation: str = "align"
    aligned: bool = True

    def features(self, maps: Maps, rois: Float[Array, "B R 4"], size: int) -> Float[Array, "N P Q C"]:
        """`size`×`size` features of every RoI, of all images in one row."""
        pooled = self._operation()([maps[name] for name in self.strides], rois, (size, size))
        return pooled.reshape(-1, size, size, pooled.shape[-1])

    def _operation(self) -> Any:
        scales = [1 / stride for stride in self.strides.values()]
        if self.operation == "align":
            return partial(multilevel_roi_align, spatial_scales=scales, aligned=self.aligned)
        if self.operation not in ("pool", "warp") or len(scales) != 1:
            raise ValueError(f"RoI operation {self.operation!r}: choose align, or on a single map pool or warp")
        single = partial({"pool": roi_pool, "warp": roi_warp}[self.operation], spatial_scale=scales[0])
        return lambda maps, rois, size: single(maps[0], rois, size)


class FasterRCNN(nn.Module):
    """A two-stage detector in its four parts, which training and inference call in turn (through linen's `method`).

        maps = net.features(images, train=train)                 # named maps of the backbone or pyramid
        levels = net.propose(maps, canvas)                       # objectness, offsets and anchors of each map
        logits, offsets = net.box(maps, rois, train=train)       # [B, R, K] and [B, R, K, 4]
        masks = net.mask(maps, rois, train=train)                # logits [B, R, S, S, K]

    `rois` [B, R, 4] are in pixels of the canvas, class 0 is the background. See `with_pyramid`, `resnet_fpn`,
    `resnet_c4`, `resnet_fc` and `vgg16`; `net.clone(rpn=None)` has proposals from elsewhere.

    Example:
        >>> from jaxvision.models.faster_rcnn import resnet_fpn
        >>> model, images = resnet_fpn(21), jnp.zeros((1, 64, 64, 3))
        >>> outputs, _ = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), images, train=False))
        >>> outputs["logits"].shape, outputs["offsets"].shape
        ((1, 1, 21), (1, 1, 21, 4))
    """

    backbone: nn.Module
    neck: nn.Module | None
    rpn: RPN | None
    box_head: nn.Module
    mask_head: MaskHead | None
    rois: RoIs
    map_names: tuple[str, ...]  # the backbone's outputs that the neck takes, finest first; without one: the only map

    def __call__(self, images: Float[Array, "B H W 3"], *, train: bool) -> dict[str, Array]:
        """Every part once, on one RoI an image, the whole canvas: what initialises all parameters."""
        canvas = images.shape[1], images.shape[2]
        maps = self.features(images, train=train)
        found = {} if self.rpn is None else {"objectness": self.propose(maps, canvas)[0].logits}
        whole = jnp.array([[0, 0, canvas[1], canvas[0]]], jnp.float32)
        rois = jnp.broadcast_to(whole[None], (images.shape[0], 1, 4))
        logits, offsets = self.box(maps, rois, train=train)
        outputs = {**maps, **found, "logits": logits, "offsets": offsets}
        return outputs if self.mask_head is None else {**outputs, "masks": self.mask(maps, rois, train=train)}

    def features(self, images: Float[Array, "B H W 3"], *, train: bool) -> Maps:
        """The maps that proposals and RoIs are computed from."""
        outputs = self.backbone(images, train=train)
        maps = {name: outputs[name] for name in self.map_names}
        return maps if self.neck is None else self.neck(list(maps.values()))

    def propose(self, maps: Maps, canvas: tuple[int, int]) -> list[Level]:
        """Objectness and offsets of the anchors of every map; `canvas` is the images' (height, width)."""
        assert self.rpn is not None
        return self.rpn(list(maps.values()), canvas)

    def box(
        self, maps: Maps, rois: Float[Array, "B R 4"], *, train: bool
    ) -> tuple[Float[Array, "B R K"], Float[Array, "B R K 4"]]:
        """Class logits, and offsets for every class."""
        logits, offsets = self.box_head(self.rois.features(maps, rois, self.rois.size), train=train)
        return logits.reshape(*rois.shape[:2], -1), offsets.reshape(*rois.shape[:2], -1, 4)

    def mask(self, maps: Maps, rois: Float[Array, "B R 4"], *, train: bool) -> Float[Array, "B R S S K"]:
        """Mask logits of every class."""
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
    """ResNet with a feature pyramid (Lin et al. 2017; He et al. 2017): canvases with sides that divide by 32.

    torchvision's weights need `aligned=False` and `anchors` that are `rounded`. `width` scales all channels.
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
    """The first four stages of a ResNet of depth 50 or more, the last one on each RoI (He et al. 2016, appendix A)."""
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
    norm: Layer = BatchNorm,
    anchors: Anchors = FIVE_SIZES,
    operation: str = "pool",
    ranks: Ranks = (0, 0),
    dtype: Dtype = jnp.float32,
) -> FasterRCNN:
    """The first three stages of a ResNet, the third dilated to a stride of 8, and fc6 and fc7 on 7×7 RoIPool.

    Fast R-CNN as the paper draws it, for objects of a few dozen pixels. `ranks`: see `box_head.TwoFCHead`.
    """
    return FasterRCNN(
        ResNet(None, depth, output_stride=8, width=width, stages=3, norm=norm, dtype=dtype),
        None,
        RPN(scaled(256, width), anchors, dtype),
        TwoFCHead(num_classes, scaled(1024, width), ranks, dtype),
        None,
        RoIs({"layer3": 8}, operation=operation),
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
    """The network of Ren et al. (2015): the convolutions of VGG-16, and its fc6 and fc7 on 7×7 RoIPool.

    It has no norm: without ImageNet's weights it learns slowly, and only from kernels of He's scale.
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
