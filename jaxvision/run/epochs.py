"""`--epochs=N`: the length of a training in passes over its images, as a number of steps."""

import dataclasses
import math
from typing import Any, TypeVar

from jaxvision.data.source_log import SourceLog

C = TypeVar("C")


def check(config: Any) -> None:
    """Raise ValueError where the steps of an experiment do not go through images, so that epochs mean nothing."""
    if not hasattr(config, "eval_every") or not hasattr(config, "steps"):
        raise ValueError("--epochs: the steps of this experiment are not passes over the images; give --steps instead")


def in_steps(config: C, epochs: float, log: SourceLog) -> C:
    """Return the settings with the number of steps that `epochs` passes over the training images take.

    Args:
        config: the experiment's settings, with `data`, `batch_size` and `steps`.
        epochs: passes over the training split; the last batch of the last one may reach into the next.
        log: the sources that were opened, among them that of the settings.

    Returns:
        The settings.

    Raises:
        ValueError: the steps of the experiment do not go through images.
    """
    check(config)
    settings: Any = config
    images = len(log.opened[settings.data][getattr(settings, "train_split", "train")])
    return dataclasses.replace(settings, steps=max(1, math.ceil(epochs * images / settings.batch_size)))
