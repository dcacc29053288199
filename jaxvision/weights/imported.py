"""Weights of another network as variables of ours, and how they get into a network's."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

Channels = tuple[float, float, float]
Tree = Mapping[str, Any]


class Imported(NamedTuple):
    """Layers under the names that `models` gives them, and what the network was trained to see."""

    variables: Tree  # {"params": {layer: {"kernel": …}}} and, where it has them, "batch_stats"
    mean: Channels | None  # of the pixels' red, green and blue, 0..255, taken off; None: as the data's own
    std: Channels | None  # and what the rest is divided by
    origin: str  # the file, for messages


def merge(variables: Tree, imported: Imported) -> dict[str, Any]:
    """`variables` with every imported layer in its place: at the top, or inside the one part that has these layers.

    Every imported array must have its place, and of its shape; layers that the file knows nothing of stay as they are.
    ValueError says which layers do not fit, in one line.
    """
    layers = imported.variables["params"]
    inside = [path for path, tree in _parts(variables["params"]) if layers.keys() <= tree.keys()]
    if len(inside) != 1:
        where = "no part" if not inside else "more than one part"
        raise ValueError(f"{imported.origin}: {where} of the network has the layers {_few(layers)}; choose a network "
                         "with that trunk")  # fmt: skip
    merged = dict(variables)
    for collection, tree in imported.variables.items():
        merged[collection] = _put(variables.get(collection, {}), inside[0], tree, imported.origin)
    return merged


def _parts(tree: Tree, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Tree]]:
    yield path, tree
    for name, part in tree.items():
        if isinstance(part, Mapping):
            yield from _parts(part, (*path, name))


def _put(tree: Tree, path: tuple[str, ...], new: Tree, origin: str) -> dict[str, Any]:
    if path:
        return {**tree, path[0]: _put(tree.get(path[0], {}), path[1:], new, origin)}
    result = dict(tree)
    for name, value in new.items():
        if isinstance(value, Mapping):
            result[name] = _put(tree.get(name, {}), (), value, f"{origin}: {name}")
        elif name not in tree or tree[name].shape != value.shape:
            have = tree[name].shape if name in tree else "absent"
            raise ValueError(f"{origin}: {name} is {value.shape} in the file and {have} in the network")
        else:
            result[name] = np.asarray(value, tree[name].dtype)
    return result


def _few(names: Mapping[str, Any]) -> str:
    return ", ".join(list(names)[:3]) + (" …" if len(names) > 3 else "")
