"""The settings with which a trained network is used: on which data, and on how much of it."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from jaxvision.data.classes import NO_DATA
from jaxvision.data.source_log import SourceLog
from jaxvision.run.request import FOR_TRAINING
from jaxvision.run.workdir_config import LEARNED


def other_data(config: Any, saved: Mapping[str, Any]) -> bool:
    """Return whether --data names other data than the run was trained on."""
    trained_on = saved.get("config", {}).get("data")
    return getattr(config, "data", None) != trained_on


def for_use(config: Any, mode: str, saved: Mapping[str, Any], say: Callable[[str], None]) -> Any:
    """Return the settings to build the experiment with.

    To predict or to export, no data is opened: the run knows its classes and its pixels. On other data than that of
    the training a split such as val[:1024] is taken whole, since its bounds were chosen for the training's data.

    Args:
        config: the experiment's settings.
        mode: the launcher's --mode.
        saved: config.json of the run; {} where imported weights are used.
        say: shows the user a line.

    Returns:
        The settings, changed where the mode asks for it.
    """
    if mode in FOR_TRAINING or not hasattr(config, "data"):
        return config
    if saved and LEARNED not in saved:
        say(
            "this run was made before runs kept their classes: they are taken from --data, in its order; "
            "make sure that it is what the run was trained on"
        )
    if mode in ("predict", "sample", "embed", "export"):
        return dataclasses.replace(config, data=NO_DATA) if saved.get(LEARNED, {}).get("class_names") else config
    split = getattr(config, "val_split", "")
    if other_data(config, saved) and split == saved.get("config", {}).get("val_split"):
        return dataclasses.replace(config, val_split=split.partition("[")[0])
    return config


def evaluated(config: Any, log: SourceLog) -> dict[str, Any]:
    """Return what is evaluated, for evaluation.json: the data, the split, where it came from, and how many images."""
    source = log.opened.get(getattr(config, "data", ""))
    if source is None:
        return {}
    split = getattr(config, "val_split", "val")
    name = split.partition("[")[0]
    if name not in source.splits:
        return {}
    return {
        "data": config.data,
        "split": split,
        "origin": source.origins.get(name, ""),
        "images": len(source[split]),
        "left_out": len(source.left_out),
    }
