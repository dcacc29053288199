"""The command line: its flags are those of every experiment (`request.Flags`) and the experiment's own Config."""

import shlex
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

from absl import flags, logging

from jaxvision import __version__
from jaxvision.run import config as settings
from jaxvision.run import flag_help, mistakes
from jaxvision.run.experiments import load, preset
from jaxvision.run.request import FOR_TRAINING, Flags, Request
from jaxvision.run.saved_run import checked, completed, read


def launcher_flags() -> flags.FlagValues:
    """Define the flags that every experiment has."""
    values = flags.FlagValues()
    settings.define_flags(Flags(), values)
    return values


def parse(argv: list[str]) -> tuple[flags.FlagValues, str, Any]:
    """Parse a command line, whose first word is the program.

    Returns the parsed flags, the experiment's name and its Config; "" and None where no experiment is asked for, as
    with --list or without any word. ValueError or flags.Error: a flag is unknown or has a wrong value.
    """
    argv = ["--help" if word in ("-h", "-?", "-help") else word for word in argv]
    values = launcher_flags()
    rest = values(argv, known_only=True)[1:]
    if values.list:
        return values, "", None
    if values.mode == "gallery":
        _parse_all(values, argv)  # an experiment's flags would be a mistake
        return values, "", None
    saved = _saved(values.workdir)
    imported, own = _imported(values) if values.init_from else ({}, {})
    saved = saved or own
    name = values.experiment or saved.get("experiment", "") or next(iter(imported), "")
    if not name and (values.help or not argv[1:]):
        return values, "", None
    if values.mode == "plan" and not name:
        _parse_all(values, argv)  # a plan of every experiment: one's flags would be a mistake
        return values, "", None
    if not name and rest and not rest[0].startswith("-"):  # a later word may be the value of an experiment's flag
        raise ValueError(mistakes.stray_word(rest[0], values))
    config = preset(load(name), "smoke" if values.smoke else values.preset)
    if values.mode != "train" and saved:
        values.set_default("precision", saved.get("precision", values.precision))
        config = settings.from_dict(
            config, completed(saved["config"], settings.to_dict(type(config)()), logging.warning)
        )
    elif name in imported:
        from jaxvision.recipes.pretrained import fitting

        known = settings.to_dict(config)
        config = settings.from_dict(config, completed(fitting(imported[name], known), known, logging.warning))
    settings.define_flags(config, values)
    values.unparse_flags()
    _parse_all(values, argv)
    if values["epochs"].present and "steps" in values and values["steps"].present:
        raise ValueError("--epochs and --steps both give the length of the training; leave one out")
    if not values.workdir:
        values["workdir"].value = tempfile.mkdtemp(prefix="jaxvision-") if values.smoke else _workdir(values, name)
    return values, name, settings.read_flags(config, values)


def deterministic(argv: list[str]) -> bool:
    """Return whether a command line has `--deterministic`, which is set before jax starts and the rest is parsed."""
    values = launcher_flags()
    try:
        values(argv, known_only=True)
    except flags.Error:
        return False  # the parsing of the rest says what is wrong
    return bool(values.deterministic)


def request(values: flags.FlagValues, name: str, config: Any) -> Request:
    """Make one frozen record of what `parse` returned.

    Args:
        values: the parsed flags.
        name: the experiment, `<area>/<name>`.
        config: the experiment's settings.

    Returns:
        The record, with the command that asks for the same again.

    Raises:
        ValueError: a number among the flags is too small.
    """
    return Request(name, config, settings.read_flags(Flags(), values), command(values))


def command(values: flags.FlagValues) -> str:
    """Return a command that asks for the same again: every flag given, without --from_stage, which needs a run."""
    common = launcher_flags()
    given = [name for name in values if values[name].present and name != "from_stage"]
    given.sort(key=lambda name: (name != "experiment", name in common, name))
    return shlex.join(["python", "launch.py", *(values[name].serialize() for name in given)])


def usage(introduction: str, values: flags.FlagValues, name: str) -> str:
    """Return the text of --help.

    Args:
        introduction: what stands above everything.
        values: the flags, as `parse` returned them.
        name: the experiment whose docstring, presets and flags are shown; "" for none.

    Returns:
        The text, with the flags in groups: name, default, choices and help of each.
    """
    return flag_help.usage(introduction, values, load(name) if name else None)


def versions() -> str:
    """Return the text of --version, without the seconds that importing jax takes."""
    return f"jaxvision {__version__}\njax {metadata.version('jax')}"


def _parse_all(values: flags.FlagValues, argv: list[str]) -> None:
    """Parse a command line whose flags are all defined; ValueError says what was probably meant by another word."""
    try:
        rest = values(argv)[1:]
    except flags.UnrecognizedFlagError as error:
        raise ValueError(
            mistakes.unknown_flag(error.flagname, str(error.flagvalue or "").partition("=")[2], values)
        ) from None
    if rest:
        raise ValueError(mistakes.stray_word(rest[0], values))


def _saved(workdir: str) -> dict[str, Any]:
    return read(Path(workdir)) if workdir else {}


def _workdir(values: flags.FlagValues, name: str) -> str:
    """Return the default: runs/<area>-<name>, or runs/<file stem> where imported weights are used without training."""
    untrained = values.init_from and values.mode not in FOR_TRAINING
    file = values.init_from.partition(":")[2]
    return f"runs/{Path(file).stem if untrained else name.replace('/', '-')}"


def _imported(values: flags.FlagValues) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Return the settings that fit the network in a file of weights, by experiment, {} where the file has none.

    Beside them stands the run that trained the network, where the file is one of ours and is used as it is.
    """
    from jaxvision.recipes import pretrained
    from jaxvision.weights import load as weights

    imported = weights.load(values.init_from)
    fitting = pretrained.settings_of(imported)
    if values.mode in FOR_TRAINING:
        return fitting, {}
    if imported.run:
        return {}, checked(dict(imported.run), Path(imported.origin))
    return {name: {**own, **pretrained.ONLY_LOOKING[name.partition("/")[0]]} for name, own in fitting.items()}, {}
