"""Fields that the Configs of several areas have: what their shared code asks of a Config, beside each area's own."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class Run(Protocol):
    """How long something learns, and how often it is looked at."""

    @property
    def batch_size(self) -> int: ...

    @property
    def steps(self) -> int: ...

    @property
    def eval_every(self) -> int: ...


@runtime_checkable
class Splits(Protocol):
    """What is learned from, and what the figures are of."""

    @property
    def train_split(self) -> str: ...

    @property
    def val_split(self) -> str: ...
