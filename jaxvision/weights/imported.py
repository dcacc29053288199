"""Weights of another network as variables of ours, and their merge into a network's variables."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxvision.channels import Channels
from jaxvision.weights.preprocess import Preprocess
from jaxvision.weights.rename import Path, flat

Tree = Mapping[str, Any]
Arrays = Mapping[Path, Any]

MOVABLE = ("fc6", "fc7", "layer4_0", "layer4_1", "layer4_2")
"""Layers of our classifiers that a detector or an FCN has in its head, or not at all: VGG's, a ResNet's last stage."""

_CLASSIFIERS = ("fc", "fc8")  # layers that name the class of an image
_SHOWN = 4  # names in a message


class Imported(NamedTuple):
    """Layers under the names that `models` gives them, and the images and classes that they were trained on.

    If the file holds a whole network, its layers and those of our network must be the same. If it holds a part, such as
    a trunk, our network may have more.
    """

    variables: Tree  # {"params": {layer: {"kernel": …}}} and, where it has them, "batch_stats"
    mean: Channels | None  # subtracted from pixels 0..255; None: the data's own
    std: Channels | None  # that pixels are then divided by; None: the data's own
    origin: str  # the file, for messages
    network: str = ""  # name of the whole network; "" for a part of one
    preprocess: Preprocess = Preprocess()
    class_names: tuple[str, ...] = ()  # by logit
    head: tuple[str, ...] = ()  # layers of the classifier, such as "fc"
    optional: tuple[str, ...] = ()  # layers, with all inside them, that file or network may lack, such as "aux_head"
    movable: tuple[str, ...] = ()  # layers that a network may have elsewhere than its trunk, or not at all, as "fc6"
    replaced: tuple[str, ...] = ()  # layers of a classifier that was left out, and is newly drawn
    replaced_size: int = 0  # number of parameters in `replaced`
    run: Mapping[str, Any] = {}  # config.json of the run of ours that trained the network; {} where the file has none

    def record(self) -> dict[str, Any]:
        """Return the preparation of images and the class names, for config.json."""
        record = {**self.preprocess._asdict(), "class_names": self.class_names}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in record.items()}

    def without_head(self) -> "Imported":
        """Return the weights without the classifier, to train on other classes with a newly drawn classifier."""
        kept = {name: _cut(tree, self.head) for name, tree in self.variables.items()}
        return self._replace(
            variables=kept,
            replaced=self.head,
            replaced_size=parameter_count(self.variables["params"]) - parameter_count(kept["params"]),
            class_names=(),
        )


def encoder_of(collections: Tree) -> dict[str, Any]:
    """Return the part of a trained network that others can start from.

    Args:
        collections: the variables of a network of ours.

    Returns:
        The part "encoder" of a network that was trained without labels; of any other one all but the last layer, if
        that classifies images.
    """
    if "encoder" in collections["params"]:
        return {name: tree["encoder"] for name, tree in collections.items() if "encoder" in tree}
    return {name: {k: v for k, v in tree.items() if k not in _CLASSIFIERS} for name, tree in collections.items()}


def merge(variables: Tree, imported: Imported) -> dict[str, Any]:
    """Return `variables` with the imported arrays in place of their own; `describe` says in words what went where.

    Every imported array needs an array of its name and shape; see `Imported` for layers that the file or the network
    may lack. A fully connected layer and the equivalent convolution fit each other.

    Raises ValueError with the arrays that only the file has, that only the network has, and that differ in shape.
    """
    ours, theirs = flat(variables), flat(imported.variables)
    merged = dict(variables)
    for path, place in destinations(variables, imported).items():
        collection, *inner = place
        value = _as(theirs[path], ours[place].shape)
        merged[collection] = _put(merged[collection], tuple(inner), np.asarray(value, ours[place].dtype))
    return merged


def destinations(variables: Tree, imported: Imported) -> dict[Path, Path]:
    """Return the path in the network of each imported array that the network takes.

    Layers stay together, at the top of the network or in the part that has most of them. Only movable ones, such as
    VGG's fc6, may belong to another part, such as the head of a detector.

    Raises ValueError as `merge` does.
    """
    inside = _place(variables["params"], imported)
    ours, theirs = flat(variables), flat(imported.variables)
    places = {path: _destination(path, inside, ours, imported) for path in theirs}
    placed = {path: place for path, place in places.items() if place in ours}
    _check(ours, theirs, placed, inside, imported)
    return placed


def parameter_count(tree: Tree) -> int:
    """Return the number of values in all arrays of the tree."""
    return sum(math.prod(value.shape) for value in flat(tree).values())


def _destination(path: Path, inside: Path, ours: Arrays, imported: Imported) -> Path:
    """Return the path beside the trunk, or for a movable layer that is not there the only other one of its name."""
    collection, *layers = path
    beside = (collection, *inside, *layers)
    if beside in ours or not _one_of(path, imported.movable):
        return beside
    others = [p for p in ours if p[0] == collection and p[-len(layers) :] == tuple(layers)]
    if len(others) > 1:
        raise ValueError(f"{imported.origin}: more than one part of the network has the layer {_name(path[:-1])}")
    return others[0] if others else beside


def _check(ours: Arrays, theirs: Arrays, placed: Mapping[Path, Path], inside: Path, imported: Imported) -> None:
    """Raise ValueError where arrays do not fit, with the names of all."""
    drawn = (*imported.optional, *imported.replaced)
    beside = [(path[0], *path[1 + len(inside) :]) for path in ours if path[1 : 1 + len(inside)] == inside]
    needed = [path for path in beside if path[0] in imported.variables and not _one_of(path, drawn)]
    droppable = (*imported.optional, *imported.movable)
    problems = {
        "only in the file": [_name(p) for p in theirs if p not in placed and not _one_of(p, droppable)],
        "only in the network": [_name(p) for p in needed if imported.network and p not in theirs],
        "of another shape": [
            f"{_name(path)} is {theirs[path].shape} in the file and {ours[place].shape} in the network"
            for path, place in placed.items()
            if _as(theirs[path], ours[place].shape) is None
        ],
    }
    if any(problems.values()):
        raise ValueError(f"{imported.origin}: {_listed(problems)}{_advice(problems, imported)}")


def _place(params: Tree, imported: Imported) -> Path:
    """Return the path of the part with most of the imported layers, without those that it may lack."""
    others = (*imported.head, *imported.optional, *imported.movable)
    layers = {name for name in imported.variables["params"] if not name.startswith(others)}
    shared = {path: len(layers & tree.keys()) for path, tree in _parts(params)}
    best = [path for path, count in shared.items() if count == max(shared.values()) and count]
    if len(best) != 1:
        where = "no part" if not best else "more than one part"
        names = ", ".join(list(imported.variables["params"])[:3])
        raise ValueError(
            f"{imported.origin}: {where} of the network has the layers {names} …; choose a network with that trunk"
        )
    return best[0]


def _parts(tree: Tree, path: Path = ()) -> Iterator[tuple[Path, Tree]]:
    yield path, tree
    for name, part in tree.items():
        if isinstance(part, Mapping):
            yield from _parts(part, (*path, name))


def _as(value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """Return the array in `shape`, a kernel [h, w, C, O] also as the matrix [h·w·C, O]; None where it does not fit."""
    if value.shape == shape:
        return value
    matrices = [(int(np.prod(s[:-1])), s[-1]) for s in (value.shape, shape) if len(s) in (2, 4)]
    alike = {value.ndim, len(shape)} == {2, 4} and matrices[0] == matrices[1]
    return value.reshape(shape) if alike else None


def _put(tree: Tree, path: Path, value: np.ndarray) -> dict[str, Any]:
    name, *rest = path
    return {**tree, name: _put(tree.get(name, {}), tuple(rest), value) if rest else value}


def _cut(tree: Tree, heads: tuple[str, ...], path: str = "") -> dict[str, Any]:
    """Return the tree without the layers in `heads`."""
    kept = {name: value for name, value in tree.items() if f"{path}{name}" not in heads}
    return {k: _cut(v, heads, f"{path}{k}/") if isinstance(v, Mapping) else v for k, v in kept.items()}


def _one_of(path: Path, layers: tuple[str, ...]) -> bool:
    return any(f"{_name(path)}/".startswith(f"{layer}/") for layer in layers)


def _name(path: Path) -> str:
    return "/".join(path[1:])


def _listed(problems: Mapping[str, list[str]]) -> str:
    parts = []
    for problem, names in problems.items():
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            parts.append(f"{problem}: {', '.join(names[:_SHOWN])}{more}")
    return "; ".join(parts)


def _advice(problems: Mapping[str, list[str]], imported: Imported) -> str:
    """Return the remedy: another head where only the classifier does not fit, else another network."""
    names = [name for group in problems.values() for name in group]
    of_head = [name for name in names if any(name.startswith(f"{layer}/") for layer in imported.head)]
    return "; --head=new leaves the classifier out" if names == of_head else "; choose the network of the file"
