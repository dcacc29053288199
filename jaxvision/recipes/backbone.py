"""The settings of the network whose features are learned without labels, and those that presets share."""

import dataclasses
from typing import Literal

from jaxvision.models.layers import BatchNorm, Layer
from jaxvision.models.resnet import ResNet


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A residual network whose features are learned."""

    depth: int = 18  # layers: 18, 34, 50, 101, 152; 10 for tiny data
    stem: Literal["imagenet", "cifar"] = "cifar"  # first layers: 7×7/2 and max-pool, or 3×3
    width: float = 0.25  # fraction of the paper's channels
    remat: bool = False  # keep a block's ends alone for the gradient: less memory, a third more time

    def make(self, norm: Layer = BatchNorm) -> ResNet:
        """Return the network without a classifier, with `norm` as its normalisation; its features are "pool"."""
        return ResNet(None, self.depth, stem=self.stem, width=self.width, norm=norm, remat=self.remat)


RESNET18 = Backbone(stem="imagenet", width=1.0)
RESNET50 = Backbone(depth=50, stem="imagenet", width=1.0)
TINY = Backbone(depth=10, width=1 / 32)  # for smoke presets
