"""A network of another framework: its layers' names, and what its weights need besides."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from jaxvision.channels import IMAGENET_MEAN, IMAGENET_STD, Channels
from jaxvision.weights.preprocess import CLASSIFIER, Preprocess
from jaxvision.weights.rename import Path, Rule, to_ours, to_theirs
from jaxvision.weights.state_dict import Tensors

Arrays = Mapping[Path, np.ndarray]
Change = Callable[[dict[Path, np.ndarray]], dict[Path, np.ndarray]]


class Table(NamedTuple):
    """`head` are the layers of the classifier, in ours; `optional` those that a file, or a network, may lack."""

    name: str
    rules: tuple[Rule, ...]
    preprocess: Preprocess = CLASSIFIER
    mean: Channels = IMAGENET_MEAN
    std: Channels = IMAGENET_STD
    labels: str = "imagenet"  # see `preprocess.label_names`
    head: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    holds: Callable[[Arrays], bool] = lambda arrays: True  # of our arrays, where names alone do not tell networks apart
    arrive: Change = dict  # what renaming leaves to do on the way in, and on the way out
    leave: Change = dict

    def read(self, tensors: Tensors) -> dict[Path, np.ndarray] | None:
        """The tensors as ours; None where they are of another network."""
        arrays = to_ours(tensors, self.rules)
        return None if arrays is None or not self._complete(arrays) else self.arrive(arrays)

    def write(self, arrays: dict[Path, np.ndarray]) -> Tensors | None:
        """The reverse."""
        return to_theirs(self.leave(arrays), self.rules) if self._complete(arrays) else None

    def _complete(self, arrays: Arrays) -> bool:
        """Whether every layer that the table calls by its whole name is there."""
        layers = {"/".join(path[1:-1]) for path in arrays}
        wanted = {rule.ours for rule in self.rules if "{" not in rule.ours}
        return self.holds(arrays) and all(
            name in layers or name.startswith((*self.head, *self.optional)) for name in wanted
        )


def has_layer(arrays: Arrays, start: str) -> bool:
    """Whether some layer's name begins so."""
    return any("/".join(path[1:]).startswith(start) for path in arrays)
