"""The settings of the network whose features are learned without labels, and those that presets share."""

import dataclasses
from typing import Literal

import flax.linen as nn

from jaxvision.models.layers import BatchNorm, Layer
from jaxvision.models.pretext_networks import AlexNetTrunk, ContextTrunk, DilatedVGG, NetworkInNetwork, StridedEncoder
from jaxvision.models.resnet import ResNet


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A network whose features are learned."""

    kind: Literal["resnet", "alexnet", "alexnet_pieces", "context", "nin", "dilated", "strided"] = (
        "resnet"  # pieces: of jigsaw; context: relative patch; nin: rotation; dilated: colourisation; strided: fillings
    )
    depth: int = 18  # resnet: layers, 18, 34, 50, 101 or 152; 10 for tiny data
    stem: Literal["imagenet", "cifar"] = "cifar"  # resnet: first layers, 7×7/2 and max-pool, or 3×3
    width: float = 0.25  # fraction of the paper's channels
    remat: bool = False  # keep a block's ends alone for the gradient: less memory, a third more time

    def make(self, norm: Layer = BatchNorm) -> nn.Module:
        """Return the network without a classifier, with `norm` as its normalisation; its features are "pool".

        AlexNet has response normalisation instead.
        """
        if self.remat and self.kind != "resnet":
            raise ValueError(f"--backbone.remat: {self.kind} has no blocks to compute anew; choose resnet")
        if self.kind == "nin":
            return NetworkInNetwork(self.width, norm)
        if self.kind in ("context", "dilated", "strided"):
            networks = {"context": ContextTrunk, "dilated": DilatedVGG, "strided": StridedEncoder}
            return networks[self.kind](self.width, norm)
        if self.kind != "resnet":
            return AlexNetTrunk(self.width, first_stride=2 if self.kind == "alexnet_pieces" else 4)
        return ResNet(None, self.depth, stem=self.stem, width=self.width, norm=norm, remat=self.remat)

    def with_maps(self) -> nn.Module:
        """Return the network where a task reads its last map, "layer4". ValueError: it has none."""
        if self.kind not in ("resnet", "dilated", "strided"):
            raise ValueError(
                f"--backbone.kind={self.kind}: this task reads the last map; choose resnet, dilated or strided"
            )
        return self.make()


RESNET18 = Backbone(stem="imagenet", width=1.0)
RESNET50 = Backbone(depth=50, stem="imagenet", width=1.0)
TINY = Backbone(depth=10, width=1 / 32)  # for smoke presets
