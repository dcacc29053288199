"""The text of --help: the flags in groups, each with its default, its choices and what it does, and the presets."""

import inspect
import re
import shutil
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

from absl import flags

from jaxvision.run import config as settings

# The first pattern that matches a flag's whole name gives its group.
GROUPS: tuple[tuple[str, str], ...] = (
    ("What to do", r"help|list|experiment|mode|preset|smoke|init_from|head|from_stage|only"),
    ("Devices", r"parallel|precision|deterministic|devices|memory|coordinator|num_processes|process_id|distributed"),
    (
        "Output",
        r"workdir|log_every|save_every|keep|format|checkpoint|min_score|max_shown|shown"
        r"|samples|label|truncation|interpolate",
    ),
    (
        "Data",
        r"data|\w*split|input|workers|strict|image_size|source_size|proposals\..*|features\..*|warping\..*|shares",
    ),
    ("Augmentation", r"(augment|view|crop)\..*"),
    ("Evaluation", r"(test|reporting|heads)\..*|eval_every|protocol|ranks|judge_steps|seeds|strategy|max_boxes"),
    (
        "Network",
        r"(network|backbone|judge|anchors)\..*|depth|width|net|variant|init|version|shortcut|stem|batch_norm|norm"
        r"|stride|window|hidden|levels|valid|pad|unpooling|skip_scales|dropout|grid|boxes|network|embedding"
        r"|latent_dim|condition|judge_width|groups|queue",
    ),
    ("Training", r".*"),
)
_ORDER = ("What to do", "Data", "Network", "Training", "Augmentation", "Evaluation", "Output", "Devices")
_ABOUT = {  # presets that many experiments have, where no comment in the source says more
    "quick": "the same network turned down to minutes on two CPU cores; the default",
    "paper": "the paper's data, schedule and augmentation",
    "photos": "a few hundred photographs of your own, from random weights",
    "smoke": "two training steps on tiny data, as --smoke runs",
}
_COLUMN = 30  # characters before the text of a flag


def usage(introduction: str, values: flags.FlagValues, module: ModuleType | None = None) -> str:
    """Return the text of --help.

    Args:
        introduction: what stands above everything.
        values: the flags that are defined.
        module: the experiment, whose docstring and presets are shown; None for none.

    Returns:
        The text, as wide as the terminal.
    """
    parts = [introduction.strip()]
    if module is not None:
        parts += [(module.__doc__ or "").strip(), "Presets (--preset=NAME)\n" + "\n".join(preset_lines(module))]
    for title, members in grouped(values).items():
        parts.append(f"{title}\n" + "\n".join(flag_lines([values[name] for name in members])))
    if module is None:
        parts.append("An experiment's own flags: --experiment=NAME --help. Their names: --list.")
    return "\n\n".join(parts)


def grouped(values: flags.FlagValues) -> dict[str, list[str]]:
    """Return the names of the flags by group, in the order in which groups and flags are shown."""
    found: dict[str, list[str]] = {title: [] for title in _ORDER}
    for name in values:
        title = next(title for title, pattern in GROUPS if re.fullmatch(pattern, name))
        found[title].append(name)
    # Flags of the whole experiment first, then the nested ones, each in the order of their definition.
    return {title: sorted(names, key=lambda name: "." in name) for title, names in found.items() if names}


def flag_lines(shown: Sequence[flags.Flag]) -> list[str]:
    """Return the lines about some flags; a bundle of flags like one before it is told by its differences.

    Args:
        shown: the flags, those of one bundle (`optimizer.lr`, `optimizer.rule`) behind each other.
    """
    bundles: dict[str, list[flags.Flag]] = {}
    for flag in shown:
        bundles.setdefault(flag.name.rpartition(".")[0], []).append(flag)
    lines: list[str] = []
    first: dict[tuple[tuple[str, str], ...], str] = {}  # name and help of each flag -> the bundle that has them
    for prefix, members in bundles.items():
        alike = tuple((flag.name.rpartition(".")[2], str(flag.help)) for flag in members)
        if prefix and alike in first:
            own = {f.name.rpartition(".")[2]: _default(f) for f in bundles[first[alike]]}
            changed = [f"{n}={_default(f)}" for f in members if _default(f) != own[n := f.name.rpartition(".")[2]]]
            but = f"; other defaults: {', '.join(changed)}" if changed else ""
            lines += _wrapped(f"--{prefix}.*", f"the same flags as --{first[alike]}.*{but}")
        else:
            first[alike] = prefix
            lines += [line for flag in members for line in _wrapped(f"--{flag.name}={_default(flag)}", str(flag.help))]
    return lines


def preset_lines(module: ModuleType) -> list[str]:
    """Return a line about each preset of an experiment: what it is for, its data and its length."""
    said = _comments(module)
    lines = []
    for name, config in module.PRESETS.items():
        facts = settings.to_dict(config)
        length = f"{facts['steps']} steps of {facts['batch_size']}" if facts.get("steps") else ""
        about = "; ".join(filter(None, (said.get(name) or _ABOUT.get(name, ""), facts.get("data", ""), length)))
        lines += _wrapped(f"{name}", about)
    return lines


def _comments(module: ModuleType) -> Mapping[str, str]:
    """Return the comment at each key of PRESETS, or right above it, by the key."""
    source = _source(module).splitlines()
    start = next((i for i, line in enumerate(source) if re.match(r"PRESETS\b", line)), len(source))
    found, above = {}, ""
    for line in source[start:]:
        if key := re.match(r'    "(\w+)": .*?(?:  # (.*))?$', line):
            found[key[1]] = (key[2] or above).rstrip(".")
        above = f"{above} {line.strip()[2:]}".strip() if line.startswith("    # ") else ""
        if line.startswith("}"):
            break
    return found


def _source(module: ModuleType) -> str:
    try:
        return inspect.getsource(module)
    except (OSError, TypeError):  # a module that was made in memory
        return ""


def _default(flag: flags.Flag) -> str:
    if isinstance(flag.default, bool):
        return str(flag.default).lower()
    if flag.default is None:
        return ""
    return ",".join(map(str, flag.default)) if isinstance(flag.default, tuple | list) else str(flag.default)


def _wrapped(left: str, text: str) -> list[str]:
    """Return `left`, and beside it the text in as many lines as it takes."""
    room = max(min(shutil.get_terminal_size((100, 24)).columns, 120) - _COLUMN - 1, 30)
    lines: Iterable[str] = textwrap.wrap(text, room, break_on_hyphens=False) or [""]
    begun = f"  {left}"
    indented = [" " * _COLUMN + line for line in lines]
    if len(begun) < _COLUMN:
        indented[0] = begun + indented[0][len(begun) :]
        return [line.rstrip() for line in indented]
    return [begun, *(line.rstrip() for line in indented)]


def known_values(flag: flags.Flag) -> list[Any]:
    """Return the values that a flag may have, where there are few."""
    return list(getattr(flag.parser, "choices", {}))
