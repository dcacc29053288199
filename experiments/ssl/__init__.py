"""What the experiments without labels share: the network that learns, and where its weights are afterwards."""

import dataclasses
from typing import Any, Literal

from jaxvision.models.resnet import ResNet
from jaxvision.train.types import TrainState


@dataclasses.dataclass(frozen=True)
class Backbone:
    """The network whose features are learned."""

    depth: int = 18  # 18, 34, 50, 101, 152
    stem: Literal["imagenet", "cifar"] = "cifar"  # 7×7/2 and max-pool, or 3×3
    width: float = 0.25  # fraction of the paper's channels

    def make(self) -> ResNet:
        """The network without a classifier: its features are "pool"."""
        return ResNet(None, self.depth, stem=self.stem, width=self.width)


def encoder_variables(state: TrainState) -> dict[str, Any]:
    """The backbone of any state of these experiments, as `ResNet.apply` takes it."""
    collections = {name: tree["encoder"] for name, tree in state.model_state.items()}
    return {"params": state.params["encoder"], **collections}
