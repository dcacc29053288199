"""The experiments that can be launched: every module in experiments/<area>/ whose name does not begin with "_"."""

import ast
import difflib
import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
"""The folder of launch.py and experiments/."""


def experiments() -> list[str]:
    """Return the name of every experiment, such as "classification/resnet", sorted."""
    return sorted(str(p.relative_to(ROOT / "experiments").with_suffix("")) for p in ROOT.glob("experiments/*/[!_]*.py"))


def load(name: str) -> ModuleType:
    """Import an experiment's module. ValueError: there is none of that name; it suggests the nearest one."""
    if name not in experiments():
        near = difflib.get_close_matches(name, experiments(), n=1, cutoff=0.3)
        hint = f"; did you mean {near[0]}?" if name and near else "; --list shows them all"
        raise ValueError(f"--experiment={name}: no such experiment{hint}")
    return importlib.import_module("experiments." + name.replace("/", "."))


def preset(module: ModuleType, name: str) -> Any:
    """Return the Config of an experiment's preset. ValueError: the experiment has none of that name."""
    if name not in module.PRESETS:
        raise ValueError(f"--preset={name}: should be one of {', '.join(module.PRESETS)}")
    return module.PRESETS[name]


def listing() -> str:
    """Return a line for every experiment: its name and the first line of its docstring."""
    width = max(map(len, experiments()))
    return "\n".join(f"{name:{width}}  {_first_line(name)}" for name in experiments())


def _first_line(name: str) -> str:
    """Read the docstring without importing the module, which takes seconds."""
    source = (ROOT / "experiments" / f"{name}.py").read_text()
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]
