"""Flags of R-CNN's network and of its features."""

import dataclasses
from typing import Literal

from jaxvision.data.feature_store import Precision
from jaxvision.models.alexnet import AlexNet
from jaxvision.models.resnet import ResNet


@dataclasses.dataclass(frozen=True)
class WindowNetwork:
    """Flags from which the network is made that sees one window at a time."""

    kind: Literal["resnet", "alexnet"] = "resnet"  # alexnet is the paper's
    depth: int = 18  # layers of a ResNet
    width: float = 1.0  # number of channels, as a fraction of the paper's

    def make(self, num_classes: int | None) -> AlexNet | ResNet:
        """Build the network; without classes it ends at the features that the SVMs are given."""
        if self.kind == "alexnet":
            return AlexNet(num_classes, "caffenet", self.width)
        return ResNet(num_classes, self.depth, width=self.width)

    @property
    def features(self) -> tuple[str, str]:
        """Names of the network's outputs that the SVMs and the box regressors are given."""
        return ("fc7", "pool5") if self.kind == "alexnet" else ("pool", "layer4")


@dataclasses.dataclass(frozen=True)
class FinetuneFlags:
    """Flags of the windows that the network is fine-tuned on."""

    positive_iou: float = 0.5  # windows with this IoU with an object have its class; others are background
    positives: float = 0.25  # fraction of a batch that has the class of an object


@dataclasses.dataclass(frozen=True)
class FeatureFlags:
    """Flags of how features are computed and stored."""

    precision: Precision = "float32"  # type of the numbers on disk; float16 takes half the space
    images: int = 4  # images in a batch, also in testing
    windows: int = 64  # windows of an image that go through the network at once
    per_shard: int = 64  # images whose features one file holds
