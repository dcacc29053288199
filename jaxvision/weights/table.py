"""Tables of layer names of another framework's networks, with the preparation of their images."""

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
    """The names of a network's layers in another framework and in ours, and the preparation of its images."""

    name: str  # of the network
    rules: tuple[Rule, ...]
    preprocess: Preprocess = CLASSIFIER
    mean: Channels = IMAGENET_MEAN  # subtracted from pixels 0..255
    std: Channels = IMAGENET_STD  # that pixels are then divided by
    labels: str = "imagenet"  # the table of class names, see `preprocess.label_names`; "" for none
    head: tuple[str, ...] = ()  # layers of the classifier, by our names
    optional: tuple[str, ...] = ()  # layers, by our names, that a file or a network may lack
    movable: tuple[str, ...] = ()  # layers, by our names, that a file may lack, see `imported.Imported`
    holds: Callable[[Arrays], bool] = lambda arrays: True  # tells networks apart that share the names of the rules
    arrive: Change = dict  # applied to our arrays after the names are translated into ours
    leave: Change = dict  # applied to our arrays before the names are translated back

    def read(self, tensors: Tensors) -> dict[Path, np.ndarray] | None:
        """Return the tensors as our arrays; None where they are of another network."""
        arrays = to_ours(tensors, self.rules)
        return None if arrays is None or not self._complete(arrays) else self.arrive(arrays)

    def write(self, arrays: dict[Path, np.ndarray]) -> Tensors | None:
        """Return our arrays as tensors, the reverse of `read`; None where they are of another network."""
        return to_theirs(self.leave(arrays), self.rules) if self._complete(arrays) else None

    def _complete(self, arrays: Arrays) -> bool:
        """Return True if all layers of rules without braces are there, but for those that a file may lack."""
        layers = {"/".join(path[1:-1]) for path in arrays}
        required = {rule.ours for rule in self.rules if "{" not in rule.ours}
        lacking = (*self.head, *self.optional, *self.movable)
        return self.holds(arrays) and all(name in layers or name.startswith(lacking) for name in required)


def has_layer(arrays: Arrays, start: str) -> bool:
    """Return True if the name of a layer begins with `start`."""
    return any("/".join(path[1:]).startswith(start) for path in arrays)
