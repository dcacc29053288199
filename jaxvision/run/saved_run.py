"""config.json of a workdir, read with a check of its form, also where another version of this program wrote it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jaxvision.files import damaged, read_object

FORMAT = 1
"""The version of config.json's form. A file without one was written before there was a number, and has this form."""

_OPTIONAL: Mapping[str, type] = {
    **{"seed": int, "init_from": str, "command": str, "devices": str},
    **{"normalise": dict, "prepared": dict, "learned": dict},
}


def read(workdir: Path) -> dict[str, Any]:
    """Read config.json; {} where the folder holds no run.

    ValueError: the file is damaged, or a newer version of this program wrote it.
    """
    path = workdir / "config.json"
    if not path.exists():
        return {}
    return checked(read_object(path, {"experiment": str, "config": dict}), path)


def checked(saved: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the content of config.json, also of one inside of a file of weights.

    Args:
        saved: the content.
        path: the file that it was read from, for messages.

    Raises:
        ValueError: an entry has another form, or a newer version of this program wrote it.
    """
    if isinstance(version := saved.get("format", FORMAT), int) and version > FORMAT:
        raise ValueError(f"{path}: was written by a newer version of jaxvision (form {version}); update this one")
    for name, kind in _OPTIONAL.items():
        if not isinstance(saved.get(name, kind()), kind):
            raise damaged(path, f"its entry {name!r} is no {kind.__name__}")
    for entry in ("normalise", "learned"):
        for name in ("mean", "std"):
            if (values := saved.get(entry, {}).get(name)) is not None and not _is_list(values, int | float, 3):
                raise damaged(path, f"{entry} {name} is not three numbers")
    for entry in ("prepared", "learned"):
        if not _is_list(saved.get(entry, {}).get("class_names", []), str):
            raise damaged(path, f"{entry} class_names is no list of names")
    if "learned" in saved and not {"mean", "std", "class_names"} <= saved["learned"].keys():
        raise damaged(path, "learned lacks mean, std or class_names")
    return saved


def _is_list(value: Any, kind: Any, length: int | None = None) -> bool:
    every = isinstance(value, list) and all(isinstance(each, kind) for each in value)
    return every and length in (None, len(value))


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

    Raises:
        ValueError: a value is of another kind than the setting.
    """
    gone = [f"--{name} (it was {value})" for name, value in saved.items() if name not in known]
    if gone:
        say(f"settings of this run that exist no more are left out: {', '.join(gone)}")
    kept = {name: value for name, value in saved.items() if name in known}
    if wrong := [name for name, value in kept.items() if not _fits(value, known[name])]:
        raise ValueError(
            f"config.json of this run is damaged: --{wrong[0]} is {kept[wrong[0]]!r}, where its default is "
            f"{known[wrong[0]]!r}; put back a copy of it"
        )
    return {**known, **kept}


def _fits(value: Any, default: Any) -> bool:
    """Tell whether a saved value is of the kind of a setting, as far as its default shows it."""
    if value is None or default is None:
        return True
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, list | tuple):
        return isinstance(value, list | tuple) and all(_fits(each, default[0]) for each in value if default)
    return isinstance(value, int | float if isinstance(default, int | float) else type(default))
