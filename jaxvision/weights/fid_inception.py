"""Reader of the Inception v3 by which published FIDs are computed: `--extractor=inception:FILE`.

FILE is TensorFlow's network of 5 December 2015 as pytorch-fid and torch-fidelity ship it, for example
pt_inception-2015-12-05-6726825d.pth.
"""

import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from jaxvision.models.fid_inception import BLOCKS, STEM, FIDInception, Unit
from jaxvision.weights import state_dict
from jaxvision.weights.rename import Path, Rule, flat, nested, to_ours

_SHIPPED = "pt_inception-2015-12-05-6726825d.pth, of pytorch-fid or torch-fidelity"


def read(file: str) -> dict[str, Any]:
    """Read the variables of `models.fid_inception.FIDInception`.

    Args:
        file: a state dict as torch, safetensors or NumPy save it.

    Returns:
        "params" and "batch_stats".

    Raises:
        ValueError: the file holds another network; torchvision's own Inception v3 is none.
    """
    tensors = state_dict.read(file)
    arrays = to_ours({name: value for name, value in tensors.items() if name != "fc.bias"}, _RULES)
    expected = shapes()
    if arrays is None or (found := {path: array.shape for path, array in arrays.items()}) != expected:
        other = next((name for name in tensors if arrays is None and name.startswith("AuxLogits")), "")
        wrong = [] if arrays is None else [p for p in {**expected, **found} if expected.get(p) != found.get(p)]
        reason = f"has {other}" if other else f"differs in {'/'.join(wrong[0][1:])}" if wrong else "has other layers"
        raise ValueError(f"--extractor=inception:{file}: {reason}; give {_SHIPPED}")
    return nested(arrays)


@functools.cache
def shapes() -> dict[Path, tuple[int, ...]]:
    """Return the shape of each of the network's arrays."""
    images = jnp.zeros((1, 299, 299, 3))
    variables = jax.eval_shape(lambda: FIDInception().init(jax.random.PRNGKey(0), images))
    return {path: array.shape for path, array in flat(variables).items()}


def _units() -> Iterator[tuple[str, str]]:
    """Yield the name of every unit in the file and in our network."""
    for name, unit in STEM.items():
        if unit:
            yield name, name
    for name, block in BLOCKS.items():
        for branch in block.branches:
            for step in branch:
                for unit in (step,) if isinstance(step, Unit) else step:
                    yield f"{name}.{unit.name}", f"{name}/{unit.name}"


_RULES = (
    *(Rule(f"{theirs}.{part}", f"{ours}/{part}") for theirs, ours in _units() for part in ("conv", "bn")),
    Rule("fc", "fc", 1),
)
