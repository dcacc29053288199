"""A trained network as ONNX, converted by jax2onnx and compared with the network by onnxruntime."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxvision.ops import dispatch
from jaxvision.run.same_outputs import TOLERANCE, by_path, require_equal
from jaxvision.train.types import Batch

_ERRORS = 3  # of onnxruntime's levels: it warns of shapes inside the program that the converter notes in another order


def write_onnx(
    path: Path,
    predict: Callable[[Batch], Mapping[str, Any]],
    inputs: Mapping[str, Any],
    expected: Mapping[str, Any],
    say: Callable[[str], None],
    tolerance: float = TOLERANCE["float32"],
) -> dict[str, Any]:
    """Write a network as ONNX, for any number of rows where that can be converted.

    Args:
        path: the file.
        predict: the function to export, with its weights inside.
        inputs: the entries of a batch that it reads.
        expected: its outputs for these inputs.
        say: shows a line.
        tolerance: largest difference of an output, as a share of its largest value.

    Returns:
        "inputs" and "outputs" of the program with their shapes and types.

    Raises:
        ValueError: a library is missing, the network cannot be converted, or the file gives other outputs.
    """
    try:
        import onnxruntime
        from jax2onnx import to_onnx
    except ImportError as error:
        raise ValueError(
            f"--format=onnx needs jax2onnx and onnxruntime ({error.name} is missing): pip install jax2onnx onnxruntime"
        ) from None
    reference = {name: np.asarray(value) for name, value in by_path(jax.device_get(expected)).items()}

    def network(*arrays: jax.Array) -> tuple[jax.Array, ...]:
        found = by_path(predict(dict(zip(inputs, arrays, strict=True))))
        return tuple(found[name] for name in reference)

    convert = partial(_convert, to_onnx, network, path, inputs, list(reference))
    rows: int | str = "B"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        convert(rows)
        check(onnxruntime, path, inputs, reference, tolerance)
    except Exception as error:  # the converter raises all kinds where a size depends on the number of rows
        rows = len(next(iter(inputs.values())))
        say(f"the program takes batches of {rows} only, not of any number: {_short(error)}")
        with _removed_at_error(path):
            try:
                convert(rows)
            except Exception as second:
                raise ValueError(
                    f"--format=onnx: jax2onnx cannot convert this network: {_short(second)}; --format=stablehlo can be "
                    "used"
                ) from None
            check(onnxruntime, path, inputs, reference, tolerance)
    return {
        "inputs": {k: _described(rows, v) for k, v in inputs.items()},
        "outputs": {k: _described(rows, v) for k, v in reference.items()},
    }


def check(
    onnxruntime: Any,
    path: Path,
    inputs: Mapping[str, Any],
    reference: Mapping[str, np.ndarray],
    tolerance: float = TOLERANCE["float32"],
) -> None:
    """Compare a file with the network it was made from.

    Args:
        onnxruntime: the library.
        path: the file.
        inputs: the inputs.
        reference: the network's outputs for them.
        tolerance: largest difference of an output, as a share of its largest value.

    Raises:
        ValueError: the file cannot be run, or an output differs by more than rounding; the text names it.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS
    try:
        session = onnxruntime.InferenceSession(str(path), options)
        found = session.run(list(reference), {name: np.asarray(value) for name, value in inputs.items()})
    except Exception as error:  # onnxruntime has kinds of its own, which are no ValueError
        raise ValueError(
            f"--format=onnx: onnxruntime cannot run what jax2onnx made of this network: {_short(error)}; "
            "--format=stablehlo can be used"
        ) from None
    require_equal(dict(zip(reference, found, strict=True)), reference, tolerance, "--format=onnx")


def _convert(
    to_onnx: Callable[..., Any],
    network: Callable[..., Any],
    path: Path,
    inputs: Mapping[str, Any],
    outputs: list[str],
    rows: int | str,
) -> None:
    shapes = [jax.ShapeDtypeStruct((rows, *np.shape(v)[1:]), np.asarray(v).dtype) for v in inputs.values()]
    with dispatch.plain_forms():
        to_onnx(
            network,
            inputs=shapes,
            return_mode="file",
            output_path=str(path),
            input_names=list(inputs),
            output_names=outputs,
        )


@contextlib.contextmanager
def _removed_at_error(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception:
        path.unlink(missing_ok=True)
        raise


def _described(rows: int | str, value: Any) -> dict[str, Any]:
    return {"shape": [rows, *np.shape(value)[1:]], "dtype": str(np.asarray(value).dtype)}


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
