"""The fields that the Configs of all experiments share, from which each area derives its own base of fields."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class BudgetConfig:
    """The data and the length of a training."""

    data: str = "digits"  # where images come from: digits, folder:DIR, idx:DIR, tfds:NAME
    batch_size: int = 64  # images in a training step, over all devices
    steps: int = 400  # training steps


@dataclasses.dataclass(frozen=True)
class RunConfig(BudgetConfig):
    """A training that is evaluated at regular intervals."""

    eval_every: int = 100  # training steps between evaluations


@dataclasses.dataclass(frozen=True)
class SplitNames:
    """The names of the splits of a data set."""

    train_split: str = "train"  # split that is trained on, such as trainval or train[:90%]
    val_split: str = "val"  # split that is evaluated, such as test


@dataclasses.dataclass(frozen=True)
class SplitConfig(SplitNames, RunConfig):
    """A training that is evaluated at regular intervals, with a choice of splits."""

    average_decay: float = 0.0  # decay per update of a moving average of the weights, which is then evaluated; 0: none
