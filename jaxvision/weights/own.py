"""A trained network of this project in one small file: `--init_from=jaxvision:FILE`, or the name of a shipped one.

`--mode=export --format=jaxvision` writes such a file. It is a safetensors file of the variables by their path, such as
"params/conv1/kernel", with the run's config.json in its header, so that it can be used as the run itself can. Kernels
are kept in half precision (float16), which makes the file half as large; biases, scales and statistics in float32.
"""

import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from jaxvision import foreign
from jaxvision.channels import Channels
from jaxvision.files import atomic_write
from jaxvision.weights.imported import MOVABLE, Imported, Tree
from jaxvision.weights.rename import flat, nested

FOLDER = Path(__file__).parent / "shipped"
"""The files that come with the package, a card (.md) beside each."""

_ENDING = ".safetensors"
_RUN = "config.json"  # the entry of the header
_NEEDED = {"experiment": str, "config": dict, "learned": dict}  # entries of the run
_HEADS = ("fc", "fc8", "predictions", "box_head/predictor", "mask_head/logits")  # layers that name classes


def names() -> list[str]:
    """Return the names of the files that come with the package, such as "digits_resnet"."""
    return sorted(path.stem for path in FOLDER.glob(f"*{_ENDING}"))


def located(name: str) -> str:
    """Return the path of a file that comes with the package; anything else is the path of a user's file."""
    return str(FOLDER / f"{name}{_ENDING}") if name in names() else name


def read(file: str) -> Imported:
    """Read the network and the run that trained it.

    Raises:
        ValueError: the file is damaged, or another program wrote it.
    """
    with foreign.named(file):
        return _read(file)


def _read(file: str) -> Imported:
    foreign.opened(file).close()  # refuses pipes and devices
    try:
        with safe_open(file, framework="numpy") as content:
            header = content.metadata() or {}
            arrays = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118, it is no mapping
    except (SafetensorError, KeyError) as error:  # KeyError: a type that NumPy has not
        raise ValueError(f"{file}: cut short, or no safetensors file ({error})") from None
    if _RUN not in header:
        raise ValueError(
            f"{file}: no network of this project, whose header holds a {_RUN}; for torchvision's give "
            f"--init_from=torchvision:{file}"
        )
    foreign.check_unpacked(os.path.getsize(file), sum(4 * value.size for value in arrays.values()))
    run = json.loads(header[_RUN])
    if not isinstance(run, dict) or not all(isinstance(run.get(name), kind) for name, kind in _NEEDED.items()):
        raise ValueError(f"{file}: its {_RUN} lacks one of {', '.join(_NEEDED)}; export the run again")
    variables = nested({tuple(name.split("/")): _whole(value) for name, value in arrays.items()})
    learned = run["learned"]
    return Imported(
        variables,
        _three(learned["mean"]),
        _three(learned["std"]),
        file,
        run["experiment"],
        class_names=tuple(learned["class_names"]),
        head=tuple(head for head in _HEADS if _holds(variables["params"], head)),
        movable=MOVABLE,
        run=run,
    )


def write(path: Path, variables: Tree, run: Mapping[str, Any]) -> None:
    """Write a trained network.

    Args:
        path: the file.
        variables: the collections of the network's variables.
        run: config.json of the run that trained it.

    Raises:
        ValueError: the run does not say what it learned from, as runs that began without data.
    """
    if "learned" not in run:
        raise ValueError("--format=jaxvision: config.json of this run does not say what it learned from")
    words = [word for word in shlex.split(run.get("command", "")) if not word.startswith("--workdir=")]
    run = {**run, "command": shlex.join(words)}  # a folder here is of no use elsewhere
    arrays = {"/".join(place): _small(np.asarray(value)) for place, value in flat(variables).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, save(arrays, {"format": "jaxvision", _RUN: json.dumps(run)}))


def _small(value: np.ndarray) -> np.ndarray:
    """Return a kernel in half precision where its numbers have room there, anything else as it is."""
    fits = value.ndim > 1 and value.dtype == np.float32 and np.abs(value).max(initial=0) < np.finfo(np.float16).max
    return np.ascontiguousarray(value.astype(np.float16) if fits else value)


def _whole(value: np.ndarray) -> np.ndarray:
    return value.astype(np.float32) if value.dtype == np.float16 else value


def _three(values: list[float]) -> Channels:
    red, green, blue = map(float, values)
    return red, green, blue


def _holds(tree: Any, layer: str) -> bool:
    for name in layer.split("/"):
        if not isinstance(tree, Mapping) or name not in tree:
            return False
        tree = tree[name]
    return True
