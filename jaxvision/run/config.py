"""Frozen dataclasses of settings and native absl flags: one typed flag a field, `--optimizer.lr` for a nested one.

A field's trailing comment is its help text.
"""

import ast
import dataclasses
import inspect
import io
import textwrap
import tokenize
import types
import typing
from collections.abc import Iterator
from typing import Any, TypeVar

from absl import flags

C = TypeVar("C")


def define_flags(config: Any, values: flags.FlagValues, prefix: str = "") -> None:
    """Define a flag for each field of a dataclass instance, nested ones with a dot; its values are the defaults.

    Args:
        config: the dataclass instance.
        values: the flags, to which those of the fields are added.
        prefix: what the flags' names begin with, such as "optimizer.".
    """
    for name, kind, default, text in _fields(config):
        if dataclasses.is_dataclass(default):
            define_flags(default, values, f"{prefix}{name}.")
        else:
            _define(f"{prefix}{name}", kind, default, text, values)


def read_flags(config: C, values: flags.FlagValues, prefix: str = "") -> C:
    """Read the settings that the flags of `define_flags` hold.

    Args:
        config: an instance of the dataclass that the flags were defined from.
        values: the parsed flags.
        prefix: what the flags' names begin with, such as "optimizer.".

    Returns:
        A copy of `config` with every field replaced by its flag's value.
    """
    new: dict[str, Any] = {}
    for name, _, default, _ in _fields(config):
        flag = f"{prefix}{name}"
        if dataclasses.is_dataclass(default):
            new[name] = read_flags(default, values, f"{flag}.")
        else:
            value = values[flag].value
            new[name] = tuple(value) if isinstance(value, list) else value
    return dataclasses.replace(config, **new)  # type: ignore[type-var]


def to_dict(config: Any) -> dict[str, Any]:
    """The fields by flag name, nested ones with a dot; tuples as lists, as JSON has them."""
    flat: dict[str, Any] = {}
    for name, _, value, _ in _fields(config):
        if dataclasses.is_dataclass(value):
            flat |= {f"{name}.{k}": v for k, v in to_dict(value).items()}
        else:
            flat[name] = list(value) if isinstance(value, tuple) else value
    return flat


def from_dict(config: C, flat: dict[str, Any]) -> C:
    """`config` with the fields that `flat` (as of `to_dict`) names; ValueError names a field that does not exist."""
    known = to_dict(config)
    unknown = sorted(set(flat) - set(known))
    if unknown:
        raise ValueError(f"no such setting: {', '.join(unknown)}")
    return _replace(config, flat, "")


def differences(saved: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """One text for each flag whose value differs, `--depth is 34 (saved: 18)`."""
    keys = sorted(set(saved) | set(wanted))
    return [f"--{k} is {wanted.get(k)} (saved: {saved.get(k)})" for k in keys if saved.get(k) != wanted.get(k)]


def _replace(config: Any, flat: dict[str, Any], prefix: str) -> Any:
    new = {}
    for name, _, value, _ in _fields(config):
        key = f"{prefix}{name}"
        if dataclasses.is_dataclass(value):
            new[name] = _replace(value, flat, f"{key}.")
        elif key in flat:
            new[name] = tuple(flat[key]) if isinstance(flat[key], list) else flat[key]
    return dataclasses.replace(config, **new)


def _fields(config: Any) -> Iterator[tuple[str, Any, Any, str]]:
    """(name, type, value, help) of each field."""
    hints = typing.get_type_hints(type(config))
    comments = _comments(type(config))
    for field in dataclasses.fields(config):
        yield field.name, hints[field.name], getattr(config, field.name), comments.get(field.name, "")


def _comments(cls: type) -> dict[str, str]:
    """Collect each field's comments, also those inside brackets over several lines; subclasses override their bases."""
    found: dict[str, str] = {}
    for one in reversed(cls.__mro__[:-1]):
        source = textwrap.dedent(inspect.getsource(one))
        tokens = tokenize.generate_tokens(io.StringIO(source).readline)
        comments = {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}
        for node in ast.parse(source).body[0].body:  # type: ignore[attr-defined]
            if isinstance(node, ast.AnnAssign):
                lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
                text = " ".join(comments[line] for line in lines if line in comments)
                found |= {ast.unparse(node.target): text} if text else {}
    return found


def _define(name: str, kind: Any, default: Any, text: str, values: flags.FlagValues) -> None:
    """One absl flag of the Python type `kind`."""
    text = text or f"({_type_name(kind)})"
    kind = _without_none(kind)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        shown = f"<{'|'.join(map(str, args))}>: {text}"
        flags.DEFINE(_Choice(args), name, default, shown, values, flags.ArgumentSerializer())
    elif origin is tuple:
        flags.DEFINE(_Tuple(args[0]), name, default, text, values, _TupleSerializer())
    else:
        of: dict[Any, Any] = {bool: flags.DEFINE_bool, int: flags.DEFINE_integer, float: flags.DEFINE_float}
        of.get(kind, flags.DEFINE_string)(name, default, text, flag_values=values)


def _without_none(kind: Any) -> Any:
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        (kind,) = (a for a in typing.get_args(kind) if a is not type(None))
    return kind


def _type_name(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind)) if typing.get_origin(kind) is None else str(kind)


class _Choice(flags.ArgumentParser):
    """One of the values of a Literal, by its text."""

    def __init__(self, choices: tuple[Any, ...]):
        self.choices = {str(c): c for c in choices}

    def parse(self, argument: Any) -> Any:
        if str(argument) not in self.choices:
            raise ValueError(f"value should be one of <{'|'.join(self.choices)}>")
        return self.choices[str(argument)]

    def flag_type(self) -> str:
        return "one of " + "|".join(self.choices)


class _Tuple(flags.ArgumentParser):
    """Numbers or words separated by commas."""

    def __init__(self, kind: type):
        self.kind = kind

    def parse(self, argument: Any) -> tuple[Any, ...]:
        if isinstance(argument, tuple | list):
            return tuple(argument)
        try:
            return tuple(self.kind(part) for part in argument.split(",") if part)
        except ValueError as error:
            raise ValueError(f"value should be {self.kind.__name__}s separated by commas") from error

    def flag_type(self) -> str:
        return f"{self.kind.__name__}s separated by commas"


class _TupleSerializer(flags.ArgumentSerializer):
    def serialize(self, value: Any) -> str:
        return ",".join(map(str, value))
