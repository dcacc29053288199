"""config.json of a workdir, read with a check of its form, also where another version of this program wrote it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jaxvision.files import read_object

FORMAT = 1
"""The version of config.json's form. A file without one was written before there was a number, and has this form."""


def read(workdir: Path) -> dict[str, Any]:
    """Read config.json; {} where the folder holds no run.

    ValueError: the file is damaged, or a newer version of this program wrote it.
    """
    path = workdir / "config.json"
    if not path.exists():
        return {}
    saved = read_object(path, {"experiment": str, "config": dict})
    if isinstance(version := saved.get("format", FORMAT), int) and version > FORMAT:
        raise ValueError(f"{path}: was written by a newer version of jaxvision (form {version}); update this one")
    return saved


def completed(
    saved: Mapping[str, Any], known: Mapping[str, Any], say: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Return the settings of a saved run in terms of today's fields.

    A field that has been added since has its default, which means what runs did before there was the field.

    Args:
        saved: the settings in config.json, by flag name.
        known: today's settings of the experiment with their defaults, by flag name.
        say: is told of settings that exist no more.

    Returns:
        A value for each of today's settings.
    """
    gone = [f"--{name} (it was {value})" for name, value in saved.items() if name not in known]
    if gone:
        say(f"settings of this run that exist no more are left out: {', '.join(gone)}")
    return {**known, **{name: value for name, value in saved.items() if name in known}}
