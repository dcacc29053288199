"""The parser of `--data` specs: `KIND`, `KIND:name=N,…` or `KIND:PATH,name=value,…`.

A reader's `load(spec)` takes the whole spec, for its error lines, and gets the parts of it from here.
"""

import pathlib
from collections.abc import Collection, Mapping


def kind(spec: str) -> str:
    """Return what stands before the first colon: the name of a row in `sources.KINDS`."""
    return spec.partition(":")[0]


def argument(spec: str) -> str:
    """Return what stands behind the first colon, "" where there is none."""
    return spec.partition(":")[2]


def path(spec: str) -> pathlib.Path:
    """Return the path of a spec without options, such as `voc:~/VOC2007`, with ~ replaced by the home folder."""
    return pathlib.Path(argument(spec)).expanduser()


def path_and_options(spec: str, names: Collection[str]) -> tuple[pathlib.Path, dict[str, str]]:
    """Split `KIND:PATH,name=value,…` into the path and its options, whose values the reader has to check.

    Only trailing options with one of the `names` are taken off, so that a path may hold commas itself.
    """
    text, options = argument(spec), dict[str, str]()
    while True:
        head, comma, last = text.rpartition(",")
        name, equals, value = last.partition("=")
        if not (comma and equals and name in names):
            return pathlib.Path(text).expanduser(), options
        text = head
        options.setdefault(name, value)  # of an option that is given twice, the last counts


def counts(spec: str, defaults: Mapping[str, int]) -> dict[str, int]:
    """Read the options of `KIND:count=64,size=128` over `defaults`; every value is a positive integer.

    Raises ValueError, in one line, for an option that `defaults` lacks or a value that is no positive integer.
    """
    values = dict(defaults)
    for item in filter(None, argument(spec).split(",")):
        key, _, text = item.partition("=")
        if key not in defaults or not text.isdecimal() or int(text) < 1:
            known = ", ".join(f"{name}=N" for name in defaults)
            raise ValueError(f"--data={spec}: cannot read {item!r}; the options are {known} with N at least 1")
        values[key] = int(text)
    return values
