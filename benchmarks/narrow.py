"""torchvision's networks with a fraction of their channels, which torchvision itself cannot make."""

import math
from collections.abc import Callable
from typing import Any

from torch import nn


def narrowed(model: Any, width: float, outputs: tuple[str, ...]) -> Any:
    """Replace every layer of a torchvision network by the same one of fewer channels, in torch's own initialisation.

    Args:
        model: the network, which is changed in place.
        width: fraction of the channels that is kept; the three of images stay.
        outputs: ends of the names of layers that keep their number of outputs, such as the classifier.

    Returns:
        The network.
    """

    def part(channels: int) -> int:
        return 3 if channels == 3 else max(1, round(channels * width))

    for name, layer in list(model.named_modules()):
        new = _narrow(layer, part, name.endswith(outputs))
        if new is not None:
            parent, _, attribute = name.rpartition(".")
            setattr(model.get_submodule(parent), attribute, new)
    return model


def group_norm(channels: int) -> nn.GroupNorm:
    """Make group norm of 32 groups, or fewer, so that each has two channels, as `models.norms.GroupNorm` does."""
    return nn.GroupNorm(math.gcd(32, max(1, channels // 2)), channels)


def _narrow(layer: Any, part: Callable[[int], int], keeps: bool) -> Any:
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        outputs = layer.out_channels if keeps else part(layer.out_channels)
        fields = ("kernel_size", "stride", "padding", "dilation", "groups")
        settings = {field: getattr(layer, field) for field in fields}
        return type(layer)(part(layer.in_channels), outputs, bias=layer.bias is not None, **settings)
    if isinstance(layer, nn.Linear):
        return nn.Linear(part(layer.in_features), layer.out_features if keeps else part(layer.out_features))
    if isinstance(layer, nn.GroupNorm):
        return group_norm(part(layer.num_channels))
    if type(layer).__name__ in ("BatchNorm2d", "FrozenBatchNorm2d"):
        return type(layer)(part(layer.weight.shape[0]), eps=layer.eps)
    return None
