"""A trained network in one file for other programs: what `--mode=export` writes into the workdir's `export/`.

`--format=stablehlo` gives the whole way from pixels to predictions, weights inside, to be run wherever jax is:

    from jax import export
    predict = export.deserialize(bytearray(open("runs/x/export/predict.stablehlo", "rb").read()))
    outputs = predict.call({"image": images})  # uint8 [B, 224, 224, 3]; predict.json names every input and output

`--format=safetensors` gives the weights under torchvision's names, for `model.load_state_dict(load_file(…))`.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import export

from jaxvision.files import atomic_write
from jaxvision.ops import convolution
from jaxvision.weights import state_dict, torchvision
from jaxvision.weights.rename import flat

PLATFORMS = ("cpu", "cuda", "tpu")
_TOLERANCE = 1e-4  # of each output's largest value: other programs add numbers in another order

Batch = Mapping[str, Any]
Function = Callable[[Batch], Mapping[str, Any]]


def stablehlo(predict: Function, batch: Batch) -> export.Exported:
    """`predict`, with what it closes over inside, for the entries of `batch` that it needs, of any number of rows.

    Where its shapes cannot be worked out for an unknown number, for the number that `batch` has.
    """
    needed = inputs_of(predict, batch)
    program = export.export(jax.jit(predict), platforms=PLATFORMS)
    with convolution.as_lax():
        try:
            return program(_shapes(needed, export.SymbolicScope()))
        except Exception:  # jax raises several kinds where a size depends on the number of rows
            return program(_shapes(needed, None))


def inputs_of(predict: Function, batch: Batch) -> dict[str, Any]:
    """The entries of `batch` that `predict` looks at."""
    seen: set[str] = set()
    jax.eval_shape(lambda arrays: predict(_Noting(arrays, seen)), dict(batch))
    return {name: value for name, value in batch.items() if name in seen}


class _Noting(Mapping[str, Any]):
    """A batch that notes what is taken out of it."""

    def __init__(self, arrays: Batch, seen: set[str]) -> None:
        self._arrays, self._seen = arrays, seen

    def __getitem__(self, name: str) -> Any:
        self._seen.add(name)
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)


def write_stablehlo(directory: Path, predict: Function, batch: Batch, expected: Mapping[str, Any]) -> Path:
    """predict.stablehlo, and predict.json with its inputs and outputs.

    ValueError where the program does not give the `expected` outputs for `batch`.
    """
    exported = stablehlo(predict, batch)
    check_equal(exported, batch, expected)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "predict.stablehlo"
    atomic_write(path, bytes(exported.serialize()))
    described = {
        "inputs": _described(jax.tree.unflatten(exported.in_tree, exported.in_avals)[0][0]),
        "outputs": _described(jax.tree.unflatten(exported.out_tree, exported.out_avals)),
        "platforms": list(exported.platforms),
    }
    atomic_write(path.with_suffix(".json"), json.dumps(described, indent=2))
    return path


def write_safetensors(directory: Path, variables: Mapping[str, Any]) -> Path:
    """<network>.safetensors, a state dict. ValueError where torchvision has no such network."""
    name, tensors = torchvision.write(variables)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}.safetensors"
    state_dict.write(str(path), tensors)
    return path


def check_equal(exported: export.Exported, batch: Batch, expected: Mapping[str, Any]) -> None:
    """ValueError, naming the output, where the exported program does not give what is expected of `batch`."""
    names = jax.tree.unflatten(exported.in_tree, exported.in_avals)[0][0]
    wanted = flat(expected)
    for path, found in flat(jax.device_get(exported.call({k: batch[k] for k in names}))).items():
        difference = np.abs(np.asarray(found, np.float64) - np.asarray(wanted[path], np.float64)).max(initial=0)
        largest = np.abs(np.asarray(wanted[path], np.float64)).max(initial=1)
        if not difference <= _TOLERANCE * largest:
            raise ValueError(f"--mode=export: {'/'.join(path)} of the exported program differs by {difference:.3g}")


def _shapes(batch: Batch, scope: export.SymbolicScope | None) -> dict[str, jax.ShapeDtypeStruct]:
    """Of each entry, with "b" for the number of rows where there is a scope for it."""
    found = {}
    for name, value in batch.items():
        rows = export.symbolic_shape("b", scope=scope) if scope is not None else (np.shape(value)[0],)
        found[name] = jax.ShapeDtypeStruct((*rows, *np.shape(value)[1:]), np.asarray(value).dtype)
    return found


def _described(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Shapes and types by name, of an array within others as in "unmoved/boxes"."""
    return {
        "/".join(path): {"shape": [n if isinstance(n, int) else str(n) for n in a.shape], "dtype": str(a.dtype)}
        for path, a in flat(arrays).items()
    }
