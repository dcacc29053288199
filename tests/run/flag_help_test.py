"""--help: groups, choices, presets, and that lines fit a terminal."""

import dataclasses
from types import ModuleType
from typing import Literal

import pytest
from absl import flags

from jaxvision.run import flag_help
from jaxvision.run.config import define_flags
from jaxvision.run.request import Flags


@dataclasses.dataclass(frozen=True)
class Inner:
    lr: float = 0.1  # learning rate after warm-up
    freeze: tuple[str, ...] = ()  # parameters that stay as they are


@dataclasses.dataclass(frozen=True)
class Config:
    data: str = "digits"  # where images come from
    depth: int = 18  # layers
    norm: Literal["batch", "group"] = "batch"  # norm of a ResNet; group: for few images a device
    flip: bool = False  # something of its own
    steps: int = 300  # training steps
    batch_size: int = 8  # images in a training step
    generator: Inner = Inner()
    discriminator: Inner = Inner(lr=0.2, freeze=("a", "b"))


def defined(*configs: object) -> flags.FlagValues:
    values = flags.FlagValues()
    for config in configs:
        define_flags(config, values)
    return values


def test_flags_stand_in_groups_once_each():
    values = defined(Flags(), Config())
    groups = flag_help.grouped(values)
    assert sorted(name for members in groups.values() for name in members) == sorted(values)
    where = {name: title for title, members in groups.items() for name in members}
    assert (where["data"], where["depth"], where["generator.lr"], where["steps"], where["workdir"], where["mode"]) == (
        *("Data", "Network", "Training", "Training", "Output"),
        "What to do",
    )
    assert {"devices", "memory", "distributed", "deterministic", "precision"} <= set(groups["Devices"])
    assert groups["Training"].index("steps") < groups["Training"].index("generator.lr")  # the nested ones are last


def test_a_line_has_default_choices_and_help_and_fits(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "80")
    values = defined(Flags(), Config())
    text = flag_help.usage("Begins so.\n", values)
    assert text.startswith("Begins so.\n\nWhat to do\n") and "typing" not in text and "Literal" not in text
    assert f"  --norm=batch                <batch|group>: norm of a ResNet; group: for few\n{' ' * 30}images" in text
    assert "  --flip=false " in text and "  --steps=300 " in text and "  --input= " in text
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("\n  --") == len(list(values)) - 1  # all but the bundle that is like another


def test_a_bundle_like_another_is_told_by_its_differences():
    values = defined(Config())
    lines = flag_help.flag_lines([values[name] for name in flag_help.grouped(values)["Training"]])
    text = " ".join(" ".join(lines).split())
    assert "--generator.lr=0.1 learning rate" in text and "--discriminator.lr" not in text
    assert "--discriminator.* the same flags as --generator.*; other defaults: lr=0.2, freeze=a,b" in text


SOURCE = """
PRESETS = {
    "quick": preset(),
    # Section 4,
    # with longer steps.
    "long": preset(
        steps=9,  # not of the preset
    ),
    "paper": preset(),  # section 3
}
"""


def test_presets_have_a_line_each(monkeypatch: pytest.MonkeyPatch):
    module = ModuleType("in_memory")
    module.PRESETS = {"quick": Config(), "long": Config(steps=9), "paper": Config(data="coco:coco"), "none": Config()}
    monkeypatch.setattr(flag_help, "_source", lambda module: SOURCE)
    text = " ".join(" ".join(flag_help.preset_lines(module)).split())
    assert text.startswith("quick the same network turned down to minutes")
    assert "long Section 4, with longer steps; digits; 9 steps of 8" in text
    assert "paper section 3; coco:coco; 300 steps of 8" in text and "none digits; 300 steps of 8" in text
    monkeypatch.undo()
    assert "paper the paper's data" in " ".join(" ".join(flag_help.preset_lines(module)).split())  # has no source
