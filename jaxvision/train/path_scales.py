"""Multipliers of the learning rate and of weight decay by the paths of parameters, as Caffe's lr_mult and decay_mult.

A multiplier is written PATTERN=FACTOR, such as `bias$=2`. The pattern is a regular expression that is searched in the
path of a parameter, such as "backbone/conv1_1/bias". Where several patterns match, their factors are multiplied.
"""

import math
import re
from typing import Any

import jax
import optax

from jaxvision.train.steps import path_name

Scales = tuple[tuple[str, float], ...]
"""Patterns with their factors."""


def parse(flag: str, entries: tuple[str, ...]) -> Scales:
    """Return the patterns and factors of a flag. ValueError: an entry is not PATTERN=FACTOR; `flag` names the flag."""
    return tuple(_parsed(flag, entry) for entry in entries)


def _parsed(flag: str, entry: str) -> tuple[str, float]:
    pattern, _, factor = entry.rpartition("=")
    try:
        re.compile(pattern)
        value = float(factor)
    except (re.error, ValueError):
        pattern, value = "", math.nan
    if not pattern or not 0.0 <= value < math.inf:
        raise ValueError(f"{flag}: {entry!r} is not PATTERN=FACTOR with a factor of 0 or more; write it like bias$=2")
    return pattern, value


def factor_of(path: str, scales: Scales) -> float:
    """Return the product of the factors whose patterns match the path; 1 if none does."""
    return math.prod((factor for pattern, factor in scales if re.search(pattern, path)), start=1.0)


def scale_updates(scales: Scales) -> optax.GradientTransformation:
    """Multiply the update of each parameter by its factor: a learning rate of its own."""

    def scaled(updates: Any, params: Any) -> Any:
        return jax.tree_util.tree_map_with_path(lambda path, u: u * factor_of(path_name(path), scales), updates)

    return optax.stateless(scaled)


def decay_weights(weight_decay: float, scales: Scales, norms: bool) -> optax.GradientTransformation:
    """Add to each gradient the parameter times its own weight decay.

    Args:
        weight_decay: coefficient where no pattern matches.
        scales: factors of the coefficient.
        norms: also decay parameters of at most one dimension, which are biases and normalisation scales.

    Returns:
        The transformation, which keeps no state.
    """

    def decayed(path: Any, update: Any, param: Any) -> Any:
        own = weight_decay * factor_of(path_name(path), scales) * (norms or param.ndim > 1)
        return update + own * param if own else update

    return optax.stateless(lambda updates, params: jax.tree_util.tree_map_with_path(decayed, updates, params))


def require_matches(flag: str, patterns: tuple[str, ...], params: Any) -> None:
    """Raise ValueError for a pattern that matches the path of no parameter.

    Args:
        flag: name of the flag that gave the patterns, for the message.
        patterns: regular expressions.
        params: the parameters of the network, those that a stage does not train masked as optax masks them.

    Raises:
        ValueError: names the pattern, and a path that the network has.
    """
    leaves = jax.tree_util.tree_leaves_with_path(params, is_leaf=lambda node: isinstance(node, optax.MaskedNode))
    paths = [path_name(path) for path, _ in leaves]
    for pattern in patterns:
        if not any(re.search(pattern, path) for path in paths):
            raise ValueError(f"{flag}: no parameter has {pattern!r} in its path, such as {paths[0]}")
