"""Dataclass fields become typed flags and come back."""

import dataclasses
from typing import Literal

import pytest
from absl import flags

from jaxvision.run import config


@dataclasses.dataclass(frozen=True)
class Inner:
    lr: float = 0.1  # learning rate
    marks: tuple[float, ...] = (0.5, 0.75)


@dataclasses.dataclass(frozen=True)
class Outer:
    data: str = "digits"  # where from
    depth: int = 18
    flip: bool = False
    kind: Literal["A", "B"] = "A"
    inner: Inner = Inner()


def parse(*argv: str) -> Outer:
    values = flags.FlagValues()
    config.define_flags(Outer(), values)
    values(["launch", *argv])
    return config.read_flags(Outer(), values)


def test_defaults_are_the_instance():
    assert parse() == Outer()


def test_every_type_is_parsed():
    found = parse("--data=idx:x", "--depth=34", "--flip", "--kind=B", "--inner.lr=1e-3", "--inner.marks=0.2,0.9")
    assert found == Outer("idx:x", 34, True, "B", Inner(0.001, (0.2, 0.9)))
    assert parse("--flip", "--noflip").flip is False


@pytest.mark.parametrize("argument", ["--depth=many", "--inner.lr=fast", "--kind=C", "--inner.marks=a,b", "--dept=3"])
def test_a_wrong_flag_is_named(argument: str):
    with pytest.raises(flags.Error, match=argument.split("=")[0].strip("-")):
        parse(argument)


def test_comments_are_help():
    values = flags.FlagValues()
    config.define_flags(Outer(), values)
    assert values["data"].help == "where from" and values["inner.lr"].help == "learning rate"


def test_json_and_back():
    wanted = parse("--depth=50", "--inner.marks=0.1")
    flat = config.to_dict(wanted)
    assert flat["inner.marks"] == [0.1]
    assert config.from_dict(Outer(), flat) == wanted
    with pytest.raises(ValueError, match="no such setting: colour"):
        config.from_dict(Outer(), {"colour": 1})


def test_differences_name_the_flags():
    found = config.differences({"depth": 18, "data": "digits"}, {"depth": 34, "data": "digits"})
    assert found == ["--depth is 34 (saved: 18)"]


def test_fields_that_are_inherited_keep_their_help_unless_it_is_given_anew():
    @dataclasses.dataclass(frozen=True)
    class Own(Outer):
        data: str = "scenes"  # pictures with objects
        extra: int = 1  # another field

    values = flags.FlagValues()
    config.define_flags(Own(), values)
    assert values["data"].help == "pictures with objects"
    assert values["inner.lr"].help == "learning rate" and values["extra"].help == "another field"


def test_help_of_a_field_over_several_lines():
    @dataclasses.dataclass(frozen=True)
    class Wrapped:
        color: str = "#fff"  # as HTML writes it
        kind: Literal["A", "B"] = (
            "A"  # the kind:
            # the first or the second
        )

    values = flags.FlagValues()
    config.define_flags(Wrapped(), values)
    assert values["color"].help == "as HTML writes it"
    assert values["kind"].help == "<A|B>: the kind: the first or the second"
