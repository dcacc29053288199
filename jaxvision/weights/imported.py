"""Weights of another network as variables of ours, and their merge into a network's variables."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxvision.channels import Channels
from jaxvision.weights.preprocess import Preprocess
from jaxvision.weights.rename import Path, flat

Tree = Mapping[str, Any]
Arrays = Mapping[Path, Any]

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

    def record(self) -> dict[str, Any]:
        """Return the preparation of images and the class names, for config.json."""
        record = {**self.preprocess._asdict(), "class_names": self.class_names}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in record.items()}

    def without_head(self) -> "Imported":
        """Return the weights without the classifier, to train on other classes with a newly drawn classifier."""
        return self._replace(
            variables={name: _cut(tree, self.head) for name, tree in self.variables.items()},
            optional=(*self.optional, *self.head),
            class_names=(),
        )


def merge(variables: Tree, imported: Imported) -> dict[str, Any]:
    """Return `variables` with the imported arrays in place of their own, at the top or in the part with these layers.

    Every imported array needs an array of its name and shape; see `Imported` for layers that the file may lack. A fully
    connected layer and the equivalent convolution fit each other.

    Raises ValueError with the arrays that only the file has, that only the network has, and that differ in shape.
    """
    inside = _place(variables["params"], imported)
    merged, theirs = dict(variables), flat(imported.variables)
    ours = flat({name: _at(variables.get(name, {}), inside) for name in imported.variables})
    fitting = {path: _as(value, ours[path].shape) for path, value in theirs.items() if path in ours}
    _check(ours, theirs, fitting, imported)
    for place, value in fitting.items():
        collection, *path = place
        merged[collection] = _put(merged[collection], (*inside, *path), np.asarray(value, ours[place].dtype))
    return merged


def _check(ours: Arrays, theirs: Arrays, fitting: Mapping[Path, np.ndarray | None], imported: Imported) -> None:
    """Raise ValueError where arrays do not fit, with the names of all."""
    needed = [path for path in ours if imported.network and not _one_of(path, imported.optional)]
    problems = {
        "only in the file": [_name(p) for p in theirs if p not in ours and not _one_of(p, imported.optional)],
        "only in the network": [_name(p) for p in needed if p not in theirs],
        "of another shape": [
            f"{_name(p)} is {theirs[p].shape} in the file and {ours[p].shape} in the network"
            for p, value in fitting.items()
            if value is None
        ],
    }
    if any(problems.values()):
        raise ValueError(f"{imported.origin}: {_listed(problems)}{_advice(problems, imported)}")


def _place(params: Tree, imported: Imported) -> Path:
    """Return the path of the part with most of the imported layers; optional layers do not count."""
    layers = {
        name for name in imported.variables["params"] if not name.startswith((*imported.head, *imported.optional))
    }
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


def _at(tree: Tree, path: Path) -> Tree:
    for name in path:
        tree = tree.get(name, {})
    return tree


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
