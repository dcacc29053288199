"""Train, evaluate or use one experiment.

python launch.py --list
python launch.py --experiment=classification/resnet
python launch.py --experiment=classification/resnet --preset=paper --data=folder:/data/imagenet --workdir=runs/r50
python launch.py --workdir=runs/r50 --mode=predict --input='photos/*.jpg'
python launch.py --init_from=torchvision:resnet50.pth --mode=predict --input='photos/*.jpg'
python launch.py --workdir=runs/r50 --mode=export --format=safetensors
python launch.py --mode=gallery
"""

import ast
import difflib
import importlib
import json
import shlex
import sys
import tempfile
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from absl import flags

from jaxvision.run import config as settings
from jaxvision.run import xla

ROOT = Path(__file__).resolve().parent


def launcher_flags() -> flags.FlagValues:
    """The flags that every experiment has."""
    values = flags.FlagValues()
    text, choice, number, switch = flags.DEFINE_string, flags.DEFINE_enum, flags.DEFINE_integer, flags.DEFINE_bool
    switch("help", False, "show these flags and the experiment's own", flag_values=values)
    switch("list", False, "show every experiment, a line each", flag_values=values)
    text(
        "experiment", "", "<area>/<name>; with a --workdir that exists, the one that was run there", flag_values=values
    )
    modes = ["train", "evaluate", "predict", "export", "gallery"]
    choice("mode", "train", modes, "what to do; gallery: a page of every run below --workdir", flag_values=values)
    text("preset", "quick", "quick: minutes on a laptop; paper: the paper's data and schedule", flag_values=values)
    switch("smoke", False, "two steps of everything, in seconds, in a temporary folder", flag_values=values)
    text("workdir", "", "where results go (default: runs/<area>-<name>)", flag_values=values)
    text("from_stage", "", "do this stage of a run with several, and those after it, again", flag_values=values)
    text(
        "init_from",
        "",
        "weights to start from: torchvision:FILE (.pth, .safetensors), workdir:RUN, darknet:FILE or hed:FILE",
        flag_values=values,
    )
    choice("head", "keep", ["keep", "new"], "new: train another classifier on imported weights", flag_values=values)
    choice("format", "stablehlo", ["stablehlo", "safetensors"], "what --mode=export writes", flag_values=values)
    text("input", "", "images for --mode=predict: a file, a folder or a quoted pattern", flag_values=values)
    choice("checkpoint", "latest", ["latest", "best"], "which one to evaluate or predict with", flag_values=values)
    number("seed", 0, "of the initial weights, the order of the data and the augmentation", flag_values=values)
    number("workers", 0, "processes that read and augment images; 0: threads", lower_bound=0, flag_values=values)
    switch("strict", False, "stop at a record that cannot be read, instead of skipping it", flag_values=values)
    choice("parallel", "auto", ["auto", "jit", "pmap"], "over several devices; auto: pmap", flag_values=values)
    number("log_every", 20, "steps between lines in metrics.jsonl", lower_bound=1, flag_values=values)
    number("save_every", 500, "steps between checkpoints", lower_bound=1, flag_values=values)
    number("keep", 2, "checkpoints that are kept, beside the best", lower_bound=1, flag_values=values)
    text("coordinator", "", "HOST:PORT of process 0, when several processes train together", flag_values=values)
    number("num_processes", 1, "how many processes train together", lower_bound=1, flag_values=values)
    number("process_id", 0, "which of them this is, from 0", lower_bound=0, flag_values=values)
    return values


def experiments() -> list[str]:
    """`<area>/<name>` of every module below experiments/."""
    return sorted(str(p.relative_to(ROOT / "experiments").with_suffix("")) for p in ROOT.glob("experiments/*/[!_]*.py"))


def load(name: str) -> ModuleType:
    """The module of an experiment; ValueError suggests the nearest name."""
    if name not in experiments():
        near = difflib.get_close_matches(name, experiments(), n=1, cutoff=0.3)
        hint = f"; did you mean {near[0]}?" if name and near else "; --list shows them all"
        raise ValueError(f"--experiment={name}: no such experiment{hint}")
    return importlib.import_module("experiments." + name.replace("/", "."))


def parse(argv: list[str]) -> tuple[flags.FlagValues, str, Any]:
    """The launcher's flags, the experiment's name and its Config. ValueError names a flag that is wrong."""
    values = launcher_flags()
    values(argv, known_only=True)
    if values.list:
        return values, "", None
    if values.mode == "gallery":
        values(argv)  # no experiment's flags
        return values, "", None
    saved = _saved(values.workdir)
    imported = _imported_settings(values) if values.init_from else {}
    name = values.experiment or saved.get("experiment", "") or next(iter(imported), "")
    if values.help and not name:
        return values, "", None
    config = _preset(load(name), "smoke" if values.smoke else values.preset)
    if values.mode != "train" and saved:
        config = settings.from_dict(config, saved["config"])
    elif name in imported:
        config = settings.from_dict(config, imported[name])
    settings.define_flags(config, values)
    values.unparse_flags()
    rest = values(argv)[1:]
    if rest:
        raise ValueError(f"{rest[0]}: not a flag; settings are given as --name=value")
    if not values.workdir:
        values["workdir"].value = tempfile.mkdtemp(prefix="jaxvision-") if values.smoke else _workdir(values, name)
    return values, name, settings.read_flags(config, values)


def main(argv: list[str]) -> int:
    """The exit code: 0, also when stopped by a signal and saved; 2 for a mistake in flags, files or data."""
    try:
        values, name, config = parse(argv)
        if values.list or values.help:
            print(_list() if values.list else _help(values, name))
        elif values.mode == "gallery":
            _gallery(Path(values.workdir or "runs"))
        else:
            _run(values, name, config)
    except Exception as error:
        return _report(error)
    return 0


def _run(values: flags.FlagValues, name: str, config: Any) -> None:
    """Everything that needs jax."""
    from jaxvision.run import session

    session.run(name, load(name), config, {**values.flag_values_dict(), "command": command(values)})


def _gallery(folder: Path) -> None:
    """Without jax, so in a moment."""
    from jaxvision.run import gallery

    print(f"written to {gallery.write(folder, print)}")


def command(values: flags.FlagValues) -> str:
    """What was typed, as it can be typed again: every flag that was given, but for --from_stage, which needs a run."""
    own = launcher_flags()
    given = [name for name in values if values[name].present and name != "from_stage"]
    given.sort(key=lambda name: (name != "experiment", name in own, name))
    return shlex.join(["python", "launch.py", *(values[name].serialize() for name in given)])


def _preset(module: ModuleType, preset: str) -> Any:
    if preset not in module.PRESETS:
        raise ValueError(f"--preset={preset}: should be one of {', '.join(module.PRESETS)}")
    return module.PRESETS[preset]


def _saved(workdir: str) -> dict[str, Any]:
    path = Path(workdir or ".") / "config.json"
    return json.loads(path.read_text()) if workdir and path.exists() else {}


def _workdir(values: flags.FlagValues, name: str) -> str:
    """Of the experiment; of a file of weights that is used without training, its own."""
    unlearned = values.init_from and values.mode != "train"
    file = values.init_from.partition(":")[2]
    return f"runs/{Path(file).stem if unlearned else name.replace('/', '-')}"


def _imported_settings(values: flags.FlagValues) -> dict[str, dict[str, Any]]:
    """By experiment, what the network in a file of weights needs; {} where the file does not say."""
    from jaxvision.recipes import pretrained
    from jaxvision.weights import load as weights

    found = pretrained.settings_of(weights.load(values.init_from))
    if values.mode == "train":
        return found
    return {name: {**own, **pretrained.ONLY_LOOKING[name.partition("/")[0]]} for name, own in found.items()}


def _list() -> str:
    width = max(map(len, experiments()))
    return "\n".join(f"{name:{width}}  {_first_line(name)}" for name in experiments())


def _first_line(name: str) -> str:
    """Of an experiment's docstring, without the seconds that importing it takes."""
    source = (ROOT / "experiments" / f"{name}.py").read_text()
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def _help(values: flags.FlagValues, name: str) -> str:
    own = [n for n in values if n not in launcher_flags()]
    groups = {(__doc__ or ""): list(launcher_flags()), f"{load(name).__doc__ if name else ''}": own}
    return "\n".join(f"{title}\n" + "\n".join(_flag_line(values[n]) for n in sorted(g)) for title, g in groups.items())


def _flag_line(flag: flags.Flag) -> str:
    value = "" if flag.default is None else flag.serialize().partition("=")[2] or flag.default
    return f"  --{flag.name}={value}  {flag.help}"


def _report(error: Exception) -> int:
    """One line for a mistake that our own code names; a traceback for everything else, which is a bug."""
    from jaxvision.train.loop import Interrupted

    text = " ".join(str(error).split())
    if isinstance(error, Interrupted):
        print(text, file=sys.stderr)
        return 0
    frames = traceback.extract_tb(error.__traceback__)
    ours = Path(frames[-1].filename).is_relative_to(ROOT) and ".venv" not in frames[-1].filename
    if isinstance(error, flags.Error | OSError) or (isinstance(error, ValueError) and ours):
        print(f"error: {text}", file=sys.stderr)
        return 2
    raise error


if __name__ == "__main__":
    xla.reexec_with_huge_pages()
    xla.configure()
    sys.exit(main(sys.argv))
