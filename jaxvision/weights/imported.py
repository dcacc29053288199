"""Weights of another network as variables of ours, and how they get into a network's."""

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
    """Layers under the names that `models` gives them, and what the network was trained to see.

    Of a whole network (`network` is its name) every layer must have its place in ours, and ours no other layers than
    the file; of a part of one (""), such as a trunk, ours may have more. `head` are the layers of the classifier, and
    `optional` those that either may lack, as they begin: "fc", "aux_head".
    """

    variables: Tree  # {"params": {layer: {"kernel": …}}} and, where it has them, "batch_stats"
    mean: Channels | None  # of the pixels' red, green and blue, 0..255, taken off; None: as the data's own
    std: Channels | None  # and what the rest is divided by
    origin: str  # the file, for messages
    network: str = ""
    preprocess: Preprocess = Preprocess()
    class_names: tuple[str, ...] = ()  # one a logit
    head: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    def record(self) -> dict[str, Any]:
        """How images have to be prepared, as config.json keeps it."""
        record = {**self.preprocess._asdict(), "class_names": self.class_names}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in record.items()}

    def without_head(self) -> "Imported":
        """To be trained for other classes: the network keeps the classifier that it was initialised with."""
        return self._replace(
            variables={name: _cut(tree, self.head) for name, tree in self.variables.items()},
            optional=(*self.optional, *self.head),
            class_names=(),
        )


def merge(variables: Tree, imported: Imported) -> dict[str, Any]:
    """`variables` with every imported layer in its place: at the top, or inside the one part that has these layers.

    Every imported array must have its place, and of its shape; see `Imported` for the layers that the file knows
    nothing of. A fully connected layer and the convolution that does the same fit each other. ValueError says, in one
    line, what is only in the file, what is only in the network, and what has another shape.
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
    """ValueError with all that does not fit."""
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
        raise ValueError(f"{imported.origin}: {_told(problems)}{_advice(problems, imported)}")


def _place(params: Tree, imported: Imported) -> Path:
    """Where most of the imported layers are. Layers that may be lacking do not count."""
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
    """The array in that shape: a kernel [h, w, C, O] is also the matrix [h·w·C, O] on a flattened map."""
    if value.shape == shape:
        return value
    matrices = [(int(np.prod(s[:-1])), s[-1]) for s in (value.shape, shape) if len(s) in (2, 4)]
    alike = {value.ndim, len(shape)} == {2, 4} and matrices[0] == matrices[1]
    return value.reshape(shape) if alike else None


def _put(tree: Tree, path: Path, value: np.ndarray) -> dict[str, Any]:
    name, *rest = path
    return {**tree, name: _put(tree.get(name, {}), tuple(rest), value) if rest else value}


def _cut(tree: Tree, heads: tuple[str, ...], path: str = "") -> dict[str, Any]:
    """The tree without the layers of these names."""
    kept = {name: value for name, value in tree.items() if f"{path}{name}" not in heads}
    return {k: _cut(v, heads, f"{path}{k}/") if isinstance(v, Mapping) else v for k, v in kept.items()}


def _one_of(path: Path, layers: tuple[str, ...]) -> bool:
    return any(f"{_name(path)}/".startswith(f"{layer}/") for layer in layers)


def _name(path: Path) -> str:
    return "/".join(path[1:])


def _told(problems: Mapping[str, list[str]]) -> str:
    parts = []
    for what, names in problems.items():
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            parts.append(f"{what}: {', '.join(names[:_SHOWN])}{more}")
    return "; ".join(parts)


def _advice(problems: Mapping[str, list[str]], imported: Imported) -> str:
    """What helps where only the classifier stands in the way."""
    names = [name for found in problems.values() for name in found]
    of_head = [name for name in names if any(name.startswith(f"{layer}/") for layer in imported.head)]
    return "; --head=new leaves the classifier out" if names == of_head else "; choose the network of the file"
