"""The fields that every experiment's Config has, from which each area's own base of fields is made."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """What is learned from, and for how long."""

    data: str = "digits"  # where images come from: digits, folder:DIR, idx:DIR, tfds:NAME
    batch_size: int = 64  # images in a training step, over all devices
    steps: int = 400  # training steps
    eval_every: int = 100  # training steps between evaluations


@dataclasses.dataclass(frozen=True)
class SplitConfig(RunConfig):
    """The same with a choice of splits."""

    train_split: str = "train"  # split that is trained on, such as trainval or train[:90%]
    val_split: str = "val"  # split that is evaluated, such as test
