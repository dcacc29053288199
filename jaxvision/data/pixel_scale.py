"""The numbers that a network is given for a pixel: part of the recipe by which it is trained.

Networks take red, green and blue. Weights of networks that took them the other way round are turned when they are read,
see `weights.preprocess`, so that no recipe has an order of its own.
"""

import dataclasses
import math
from typing import Literal

from jaxvision.channels import Channels

_ONES: Channels = (1.0, 1.0, 1.0)
_WHITE: Channels = (255.0, 255.0, 255.0)


@dataclasses.dataclass(frozen=True)
class PixelScale:
    """The mean that is subtracted from pixels of 0..255, and what they are divided by.

    Caffe's networks take 0..255 minus the mean: N(0, 0.01²) of AlexNet's kernels and α of its response normalisation
    belong to such numbers. ValueError names the flag with a wrong value.
    """

    range: Literal[0, 1, 255] = 0  # width of pixels' range behind the mean, as Caffe's 255; 0: divided by std instead
    mean: tuple[float, ...] = ()  # of red, green, blue in 0..255, subtracted; empty: the data's
    std: tuple[float, ...] = ()  # of the same, that pixels are divided by with range 0; empty: the data's

    def __post_init__(self) -> None:
        for flag, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (0, 3) or not all(map(math.isfinite, values)):
                raise ValueError(f"--pixels.{flag}={_text(values)}: give three numbers, of red, green, blue in 0..255")
        if self.std and (self.range or min(self.std) <= 0):
            raise ValueError(f"--pixels.std={_text(self.std)}: give numbers above 0, and only with --pixels.range=0")

    def of(self, mean: Channels, std: Channels) -> tuple[Channels, Channels]:
        """Return what is subtracted from pixels of 0..255, and what they are then divided by.

        Args:
            mean: of the data, in 0..255.
            std: of the data, in 0..255.

        Returns:
            Two numbers for each of red, green and blue.
        """
        divisors: dict[int, Channels] = {0: _three(self.std) if self.std else std, 1: _WHITE, 255: _ONES}
        return _three(self.mean) if self.mean else mean, divisors[self.range]


AS_DATA = PixelScale()
"""Pixels minus the data's mean, divided by its standard deviation."""

CAFFE = PixelScale(255)
"""Pixels of 0..255 minus the data's mean."""

CAFFE_IMAGENET = PixelScale(255, (122.7717, 115.9465, 102.9801))
"""Pixels of 0..255 minus the mean that R-CNN's successors have (Girshick 2015), here as red, green, blue."""

CAFFE_ILSVRC = PixelScale(255, (122.67891434, 116.66876762, 104.00698793))
"""Pixels of 0..255 minus the mean of Caffe's mean image of ImageNet, which FCN's code has as three numbers."""

UNIT = PixelScale(1, (0.0, 0.0, 0.0))
"""Pixels of 0..1, from which nothing is subtracted, as in darknet."""


def _three(values: tuple[float, ...]) -> Channels:
    red, green, blue = values
    return red, green, blue


def _text(values: tuple[float, ...]) -> str:
    return ",".join(f"{value:g}" for value in values)


def described(mean: Channels, std: Channels) -> str:
    """Return in words how pixels become a network's input, such as "minus 122.8, 115.9, 103, divided by 1, 1, 1"."""
    shown = (", ".join(f"{value:.4g}" for value in values) for values in (mean, std))
    return "minus {}, divided by {}".format(*shown)
