"""An account in words of what a merge of imported weights takes from the file, and what is newly drawn."""

from collections.abc import Iterable, Iterator, Mapping

from jaxvision.weights.imported import Imported, Tree, destinations, parameter_count
from jaxvision.weights.rename import Path, flat

_SHOWN = 6  # names of one kind in the account


def describe(variables: Tree, imported: Imported) -> str:
    """Return one line with the parameters and layers that `imported.merge` takes, draws anew and leaves out.

    Args:
        variables: the network's, before the merge; arrays or their shapes.
        imported: the weights.

    Returns:
        For example "vgg16.pth: 134,260,544 parameters taken, of 138,357,544 in the file and 137,108,639 in the network;
        13 layers in backbone; 2 layers in box_head: fc6, fc7; new: …; left out: fc8".

    Raises:
        ValueError: the weights do not fit the network.
    """
    placed = destinations(variables, imported)
    params, theirs = flat({"params": variables["params"]}), flat({"params": imported.variables["params"]})
    taken = [place for place in placed.values() if place[0] == "params"]
    count = parameter_count({"/".join(place): params[place] for place in taken})
    in_file = parameter_count(imported.variables["params"]) + imported.replaced_size
    parts = [
        f"{imported.origin}: {count:,} parameters taken, of {in_file:,} in the file and "
        f"{parameter_count(variables['params']):,} in the network",
        *_by_part(placed),
    ]
    new = list(_untouched(variables["params"], {place[1:] for place in taken}))
    dropped = sorted({"/".join(path[1:-1]) for path in theirs if path not in placed} | set(imported.replaced))
    parts += [f"{kind}: {_listed(names)}" for kind, names in (("new", new), ("left out", dropped)) if names]
    return "; ".join(parts)


def _by_part(placed: Mapping[Path, Path]) -> Iterator[str]:
    """Yield the number of layers in each part of the network that takes some."""
    parts: dict[str, dict[str, None]] = {}
    for path, place in placed.items():
        if path[0] == "params":
            where = "/".join(place[1 : 1 + len(place) - len(path)]) or "the network"
            parts.setdefault(where, {})["/".join(path[1:-1])] = None
    for where, layers in parts.items():
        yield f"{len(layers)} {'layers' if len(layers) > 1 else 'layer'} in {where}: {_listed(layers)}"


def _untouched(tree: Tree, taken: set[Path], path: Path = ()) -> Iterator[str]:
    """Yield the largest parts of the tree in which nothing was taken from the file."""
    for name, part in tree.items():
        here = (*path, name)
        inside = {place for place in taken if place[: len(here)] == here}
        if not inside:
            yield "/".join(here)
        elif isinstance(part, Mapping):
            yield from _untouched(part, inside, here)


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
