"""config.json of a workdir: the experiment, its settings, its seed, and where imported weights came from."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from jaxvision.channels import Channels
from jaxvision.files import atomic_write
from jaxvision.run import config as settings
from jaxvision.run.saved_run import FORMAT, completed, read
from jaxvision.weights.imported import Imported

LEARNED = "learned"  # the entry with the data, class names and pixel statistics of the training
_FLOAT32 = {"precision": "float32"}  # of runs that were made before there was a choice


def remember(
    workdir: Path,
    name: str,
    seed: int,
    config: Mapping[str, Any],
    about: Mapping[str, Any] = {},
    *,
    repeat: str = "",
    defaults: Mapping[str, Any] | None = None,
    epochs: float = 0.0,
) -> dict[str, Any]:
    """Write config.json, or compare with the run that the workdir already holds.

    A run that failed before its first line of metrics counts as none: its config.json is replaced.

    Args:
        workdir: the folder of the run.
        name: the experiment, <area>/<name>.
        seed: the seed of the run.
        config: the experiment's settings by flag name.
        about: further entries, such as those of `origin_of`, the command and the devices.
        defaults: the experiment's default settings, for fields that an older run did not save.
        repeat: a stage that is to be repeated: its own flags, such as svm.c, may differ from the saved ones.
        epochs: what --epochs said, from which the number of steps comes; 0 where it was not given.

    Returns:
        The content of config.json; where a run goes on, as it would be written now, for `write` after `repeat` is gone.

    Raises:
        ValueError: the workdir holds another run; the text names every flag that differs.
    """
    described = json.loads(json.dumps({"format": FORMAT, "experiment": name, "seed": seed, "config": config, **about}))
    if (workdir / "metrics.jsonl").exists() and (saved := read(workdir)):
        saved["config"] = completed(saved["config"], json.loads(json.dumps(defaults or config)))
        compared = ("experiment", "seed", "init_from", "precision")
        flat = [_FLOAT32 | {key: c[key] for key in compared if key in c} | c["config"] for c in (saved, described)]
        if flat[0]["experiment"] != name:
            flat = [{"experiment": c["experiment"]} for c in flat]
        flat = [{k: v for k, v in c.items() if not (repeat and k.startswith(f"{repeat}."))} for c in flat]
        if different := settings.differences(*flat):
            if epochs:
                given = f"--steps (by --epochs={epochs:g}) is"
                different = [line.replace("--steps is", given, 1) for line in different]
            raise ValueError(f"{workdir} holds another run: {'; '.join(different)}; choose another --workdir")
    else:
        write(workdir, described)
    return described


def remember_learned(workdir: Path, learned: Mapping[str, Any]) -> None:
    """Add to config.json what a run learns from (see `data.source_log`), unless it says so already."""
    described = read(workdir)
    if learned and LEARNED not in described:
        write(workdir, {**described, LEARNED: learned})


def write(workdir: Path, described: Mapping[str, Any]) -> None:
    """Write config.json; only the first of several processes does."""
    if jax.process_index() == 0:
        workdir.mkdir(parents=True, exist_ok=True)
        atomic_write(workdir / "config.json", json.dumps(described, indent=2))


def origin_of(spec: str, imported: Imported) -> dict[str, Any]:
    """Describe imported weights for config.json, so that the trained network can be used without their file."""
    return {
        "init_from": spec,
        "normalise": {"mean": imported.mean, "std": imported.std},
        "prepared": imported.record(),
    }


def read_origin(workdir: Path) -> dict[str, Any]:
    """Read what `origin_of` said of this workdir's weights; {} for a run that began from random ones, or for none."""
    saved = read(workdir)
    return {name: saved[name] for name in ("init_from", "normalise", "prepared") if name in saved}


def as_seen(origin: Mapping[str, Any]) -> tuple[tuple[Channels, Channels] | None, tuple[str, ...]]:
    """Return how imported weights saw their images, from what `origin_of` or `read_origin` returned.

    The first is the mean and the standard deviation of pixels, None where the weights took those of the data; the
    second the names of the classes that the weights were trained with, () where they are not known.
    """
    pixels = origin.get("normalise", {})
    mean, std = pixels.get("mean"), pixels.get("std")
    return (tuple(mean), tuple(std)) if mean else None, tuple(origin.get("prepared", {}).get("class_names", ()))
