"""Translation of layer names and array layouts between another framework's network and ours, in both directions."""

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxvision.weights.state_dict import Tensors

Tree = dict[str, Any]
Path = tuple[str, ...]
"""The collection, layers and leaf of an array, such as ("params", "layer1_0", "conv1", "kernel")."""


class Rule(NamedTuple):
    """A layer's name in the file and in our network, for example "layer{i}.{j}.conv{k}" and "layer{i}_{j}/conv{k}".

    A name in braces stands for a number or a word, the same in both. A fully connected layer on a flattened map has its
    inputs in the order (channel, row, column) in the file and (row, column, channel) in ours, which may also be the
    equivalent convolution.
    """

    theirs: str
    ours: str
    side: int = 0  # cells along each side of the map before a fully connected layer; 0: the tensor's dimensions decide


def within(theirs: str, ours: str, rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Return the rules of a network that is a part of another one.

    Args:
        theirs: The part's name in the file.
        ours: The part's name in our network.
        rules: Of the part.

    Returns:
        The rules with both names put in front.
    """
    return tuple(Rule(f"{theirs}.{rule.theirs}", f"{ours}/{rule.ours}", rule.side) for rule in rules)


def to_ours(tensors: Tensors, rules: tuple[Rule, ...]) -> dict[Path, np.ndarray] | None:
    """Return every tensor under its path in our network, in our layout, as a view; None where one has no rule.

    Kernels on flattened maps stay [side, side, C, O]; `imported.merge` gives them the network's shape.
    """
    templates = [(rule.theirs, rule.ours, rule) for rule in rules]
    arrays: dict[Path, np.ndarray] = {}
    for name, value in tensors.items():
        layer, _, field = name.rpartition(".")
        if field == "num_batches_tracked":
            continue
        match = _translate(layer, templates)
        if match is None or field not in _FIELDS.values():
            return None
        place, rule = match
        collection, leaf, array = _our_leaf(field, value, rule.side)
        arrays[(collection, *place.split("/"), leaf)] = array
    return arrays


def to_theirs(arrays: Mapping[Path, np.ndarray], rules: tuple[Rule, ...]) -> Tensors | None:
    """Return the tensors of our arrays, the reverse of `to_ours`; of several rules for a layer, the first counts."""
    templates = [(rule.ours, rule.theirs, rule) for rule in rules]
    tensors: Tensors = {}
    for path, value in arrays.items():
        _, *layers, leaf = path
        match = _translate("/".join(layers), templates)
        if match is None or leaf not in _FIELDS:
            return None
        layer, rule = match
        tensors[f"{layer}.{_FIELDS[leaf]}"] = _their_array(value, rule.side)
    return tensors


def nested(arrays: Mapping[Path, np.ndarray]) -> Tree:
    """Turn arrays by path into linen's nested dictionaries."""
    tree: Tree = {}
    for path, value in arrays.items():
        node = tree
        for name in path[:-1]:
            node = node.setdefault(name, {})
        node[path[-1]] = value
    return tree


def flat(tree: Mapping[str, Any], path: Path = ()) -> dict[Path, Any]:
    """Turn nested dictionaries into leaves by path, the reverse of `nested`."""
    leaves: dict[Path, Any] = {}
    for name, value in tree.items():
        leaves |= flat(value, (*path, name)) if isinstance(value, Mapping) else {(*path, name): value}
    return leaves


_FIELDS = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}


def _translate(name: str, templates: list[tuple[str, str, Rule]]) -> tuple[str, Rule] | None:
    """Translate `name` by the first template (from, to) that it matches; None where it matches none."""
    for source, target, rule in templates:
        if match := _pattern(source).fullmatch(name):
            return target.format(**match.groupdict()), rule
    return None


@functools.cache
def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)
    pieces = (f"(?P<{part}>[0-9a-z]+)" if i % 2 else re.escape(part) for i, part in enumerate(parts))
    return re.compile("".join(pieces))


def _our_leaf(field: str, value: np.ndarray, side: int) -> tuple[str, str, np.ndarray]:
    if field in ("running_mean", "running_var"):
        return "batch_stats", field.removeprefix("running_"), value
    if field == "bias":
        return "params", "bias", value
    if value.ndim == 4:
        # [out, in, h, w] becomes [h, w, in, out]; a transposed convolution, [in, out, h, w], becomes [h, w, out, in].
        return "params", "kernel", value.transpose(2, 3, 1, 0)
    if value.ndim == 2 and side > 1 and value.shape[1] % side**2 == 0:
        return "params", "kernel", value.reshape(len(value), -1, side, side).transpose(2, 3, 1, 0)
    return ("params", "kernel", value.T) if value.ndim == 2 else ("params", "scale", value)


def _their_array(value: np.ndarray, side: int) -> np.ndarray:
    if side and value.ndim > 1:
        rows = value.reshape(side, side, -1, value.shape[-1])
        return rows.transpose(3, 2, 0, 1).reshape(value.shape[-1], -1)
    return value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T
