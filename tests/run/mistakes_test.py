"""One line about a mistake in a command, with the flag that was meant."""

import dataclasses

import pytest
from absl import flags

from jaxvision.run import mistakes
from jaxvision.run.config import define_flags
from jaxvision.run.request import Flags


@dataclasses.dataclass(frozen=True)
class Inner:
    lr: float = 0.1  # learning rate
    weight_decay: float = 0.0  # L2


@dataclasses.dataclass(frozen=True)
class Config:
    data: str = "digits"  # images
    steps: int = 4  # training steps
    batch_size: int = 8  # images in a step
    depth: int = 18  # layers
    optimizer: Inner = Inner()
    discriminator: Inner = Inner()


@pytest.fixture(scope="module")
def values() -> flags.FlagValues:
    found = flags.FlagValues()
    define_flags(Flags(), found)
    define_flags(Config(), found)
    return found


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("lr", "0.1", "--optimizer.lr=0.1 or --discriminator.lr=0.1?"),
        ("learning_rate", "1", "did you mean --optimizer.lr=1 or"),
        ("learning-rate", "1", "did you mean --optimizer.lr=1 or"),
        ("weight_decay", "", "did you mean --optimizer.weight_decay or"),
        ("num_epochs", "3", "did you mean --epochs=3?"),
        ("iterations", "3", "did you mean --steps=3?"),
        ("dept", "34", "did you mean --depth=34?"),
        ("optimizer_lr", "1", "did you mean --optimizer.lr=1?"),
        ("optimiser.lr", "1", "did you mean --optimizer.lr=1?"),
        ("output_dir", "x", "did you mean --workdir=x?"),
        ("evaluate", "", "did you mean --mode=evaluate?"),
        ("test", "", "did you mean --mode?"),
        ("paper", "", "did you mean --preset=paper?"),
        ("device", "cuda", "jax uses every GPU"),
        ("resume", "", "goes on from the last checkpoint"),
        ("xyzzyq", "", "--help shows those that there are"),
    ],
)
def test_a_flag_that_does_not_exist(values: flags.FlagValues, name: str, value: str, expected: str):
    line = mistakes.unknown_flag(name, value, values)
    assert line.startswith(f"--{name}: there is no such flag; ") and expected in line and "\n" not in line


def test_only_flags_that_exist_are_suggested(values: flags.FlagValues):
    for meanings in mistakes._MEANT.values():
        for name in meanings:
            line = mistakes.unknown_flag(name, "", values)
            suggested = line.partition("did you mean ")[2].rstrip("?").split(" or ") if "did you" in line else []
            assert all(one.removeprefix("--").partition("=")[0] in values for one in suggested)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("depth=3", "depth=3: not a flag; did you mean --depth=3?"),
        ("lr=3", "did you mean --optimizer.lr=3"),
        ("classification/resnet", "did you mean --experiment=classification/resnet?"),
        ("predict", "did you mean --mode=predict?"),
        ("depth", "did you mean --depth=…?"),
        ("true", "a switch is given as --name=true"),
        ("whatever", "settings are given as --name=value"),
    ],
)
def test_a_word_that_is_no_flag(values: flags.FlagValues, word: str, expected: str):
    assert expected in mistakes.stray_word(word, values)


def test_a_file_that_is_no_flag(values: flags.FlagValues, tmp_path):
    (tmp_path / "cat.jpg").touch()
    assert f"did you mean --input={tmp_path}/cat.jpg" in mistakes.stray_word(f"{tmp_path}/cat.jpg", values)
