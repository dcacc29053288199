"""--epochs: passes over the images, as steps."""

import dataclasses
from types import SimpleNamespace

import pytest

from jaxvision.data.source_log import SourceLog
from jaxvision.run import epochs


@dataclasses.dataclass(frozen=True)
class Config:
    data: str = "digits"
    train_split: str = "train"
    batch_size: int = 8
    steps: int = 100
    eval_every: int = 10


@dataclasses.dataclass(frozen=True)
class Windows:
    data: str = "digits"
    batch_size: int = 128
    steps: int = 100


@pytest.mark.parametrize(("passes", "images", "steps"), [(1.0, 16, 2), (1.0, 17, 3), (2.5, 16, 5), (0.01, 16, 1)])
def test_passes_become_steps(passes: float, images: int, steps: int):
    log = SourceLog()
    log.opened["digits"] = {"train": range(images), "val": range(3)}
    assert epochs.in_steps(Config(), passes, log) == Config(steps=steps)


def test_steps_that_are_no_passes_are_refused():
    with pytest.raises(ValueError, match="--epochs: the steps of this experiment are not passes"):
        epochs.in_steps(Windows(), 1.0, SourceLog())
    with pytest.raises(ValueError, match="--epochs"):
        epochs.check(SimpleNamespace(eval_every=3))
