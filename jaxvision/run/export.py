"""A trained network in one file for other programs: what `--mode=export` writes into the workdir's `export/`.

`--format=stablehlo` gives the whole way from pixels to predictions, weights inside, to be run wherever jax is:

    from jax import export
    predict = export.deserialize(bytearray(open("runs/x/export/predict.stablehlo", "rb").read()))
    outputs = predict.call({"image": images})  # uint8 [B, 224, 224, 3]; predict.json names every input and output

`--format=safetensors` gives the weights under torchvision's names, for `model.load_state_dict(load_file(…))`.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import export

from jaxvision.data.classes import OneGreyImage
from jaxvision.data.image_files import image_files
from jaxvision.files import atomic_write
from jaxvision.ops import dispatch
from jaxvision.run.network import ready
from jaxvision.run.precision import products
from jaxvision.run.request import Request
from jaxvision.run.saved_run import read
from jaxvision.run.workdir_config import LEARNED
from jaxvision.train import devices
from jaxvision.train.restore import Run
from jaxvision.train.types import Batch, Experiment
from jaxvision.weights import state_dict, torchvision
from jaxvision.weights.imported import Imported
from jaxvision.weights.rename import flat

PLATFORMS = ("cpu", "cuda", "tpu")
# Of each output's largest value: other programs add numbers in another order, and round at other places.
_TOLERANCE = {"float32": 1e-4, "tensorfloat32": 1e-2, "bfloat16": 0.05}

Function = Callable[[Batch], Mapping[str, Any]]


def export_network(experiment: Experiment, run: Run, request: Request, imported: Imported | None = None) -> None:
    """Write the network as one file for other programs; its shapes are those of an image of --input, if given.

    Args:
        experiment: its last stage has the network, its presentation says how images are read.
        run: where and how the stages are run.
        request: says which format, which checkpoint and, by --input, which shape of images.
        imported: weights of a whole network to use instead of a checkpoint's.

    Raises:
        ValueError: the experiment predicts nothing for an image, there is no checkpoint, torchvision has no such
            network, or the exported program gives other outputs than the network.
    """
    stage, shown, flags = experiment.stages[-1], experiment.presentation, request.flags
    if shown is None:
        raise ValueError("--mode=export: this experiment has nothing to predict for an image")
    records = image_files(flags.input) if flags.input else OneGreyImage()
    batch = dict(devices.first_batch(shown.data(records)))
    batch["image"] = np.random.default_rng(0).integers(0, 256, batch["image"].shape, np.uint8)
    network, state = ready(stage, run, batch, flags.checkpoint, imported)
    expected, state = network(state, batch), devices.to_host(state)
    pixels = pixels_of(run.workdir, imported)
    if flags.format == "safetensors":
        variables = {"params": state.aux.get("average", state.params), **state.model_state}
        path = write_safetensors(run.workdir / "export", variables, pixels)
    else:
        predict, tolerance = partial(stage.task.predict, state), _TOLERANCE[flags.precision]
        with products(flags.precision):  # also in a program that a CPU writes for others
            path = write_stablehlo(
                run.workdir / "export", predict, batch, expected, run.writer.say, pixels, tolerance=tolerance
            )
    run.writer.say(f"written to {path}")


def stablehlo(predict: Function, batch: Batch, say: Callable[[str], None]) -> export.Exported:
    """Export `predict`, with the weights it closes over, for the entries of `batch` it reads and any number of rows.

    Args:
        predict: the function, a batch to outputs.
        batch: one batch, whose arrays give shapes and types.
        say: shows a line. Where the shapes of `predict` cannot be derived for an unknown number of rows, it is exported
            for the number that `batch` has, and the line says so with the reason.

    Returns:
        The program.
    """
    needed = inputs_of(predict, batch)
    program = export.export(jax.jit(predict), platforms=PLATFORMS)
    with dispatch.plain_forms():
        try:
            return program(_shapes(needed, export.SymbolicScope()))
        except Exception as error:  # jax raises several kinds where a size depends on the number of rows
            rows = len(next(iter(needed.values())))
            reason = next(iter(str(error).splitlines()), "")
            say(f"the program takes batches of {rows} only, not of any number: {type(error).__name__}: {reason}")
            return program(_shapes(needed, None))


def inputs_of(predict: Function, batch: Batch) -> dict[str, Any]:
    """Return the entries of `batch` that `predict` reads."""
    seen: set[str] = set()
    jax.eval_shape(lambda arrays: predict(_Recording(arrays, seen)), dict(batch))
    return {name: value for name, value in batch.items() if name in seen}


class _Recording(Mapping[str, Any]):
    """A batch that records which of its entries are read."""

    def __init__(self, arrays: Batch, seen: set[str]) -> None:
        self._arrays, self._seen = arrays, seen

    def __getitem__(self, name: str) -> Any:
        self._seen.add(name)
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)


def pixels_of(workdir: Path, imported: Imported | None = None) -> dict[str, Any]:
    """Return how the network's input is made from pixels, for the file beside an exported network.

    Args:
        workdir: of the run whose network it is.
        imported: weights of a whole network that are exported instead.

    Returns:
        {"order": "RGB", "range": [0, 255], "mean": […], "std": […]}: the mean is subtracted from pixels of that range,
        which are then divided by std. {} where an old run does not say it.
    """
    if imported is not None:
        mean, std = imported.mean, imported.std
    else:
        learned = read(workdir).get(LEARNED, {})
        mean, std = learned.get("mean"), learned.get("std")
    return {"order": "RGB", "range": [0, 255], "mean": list(mean), "std": list(std)} if mean and std else {}


def write_stablehlo(
    directory: Path,
    predict: Function,
    batch: Batch,
    expected: Mapping[str, Any],
    say: Callable[[str], None],
    pixels: Mapping[str, Any] = {},
    *,
    tolerance: float = _TOLERANCE["float32"],
) -> Path:
    """Write predict.stablehlo, and predict.json with the names, shapes and types of its inputs and outputs.

    Args:
        directory: the folder to write into; it is made where it does not exist.
        predict: the function to export, with its weights inside.
        batch: one batch, whose arrays give shapes and types.
        expected: the outputs of `predict` for `batch`.
        say: shows a line, see `stablehlo`.
        pixels: as of `pixels_of`; the program does this itself.
        tolerance: largest difference of an output, as a share of its largest value.

    Returns:
        The path of predict.stablehlo.

    Raises:
        ValueError: the exported program does not give the expected outputs for `batch`.
    """
    exported = stablehlo(predict, batch, say)
    check_equal(exported, batch, expected, tolerance)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "predict.stablehlo"
    atomic_write(path, bytes(exported.serialize()))
    described = {
        "inputs": _described(jax.tree.unflatten(exported.in_tree, exported.in_avals)[0][0]),
        "outputs": _described(jax.tree.unflatten(exported.out_tree, exported.out_avals)),
        "platforms": list(exported.platforms),
        **({"pixels": {**pixels, "applied": "inside the program"}} if pixels else {}),
    }
    atomic_write(path.with_suffix(".json"), json.dumps(described, indent=2))
    return path


def write_safetensors(directory: Path, variables: Mapping[str, Any], pixels: Mapping[str, Any] = {}) -> Path:
    """Write <network>.safetensors, a torch state dict, and <network>.json, which says what its input is.

    Args:
        directory: the folder to write into; it is made where it does not exist.
        variables: the network's.
        pixels: as of `pixels_of`; without them there is no <network>.json.

    Returns:
        The path of <network>.safetensors.

    Raises:
        ValueError: torchvision has no such network.
    """
    name, tensors = torchvision.write(variables)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}.safetensors"
    state_dict.write(str(path), tensors)
    if pixels:
        described = {"pixels": {**pixels, "applied": "by whoever runs the network"}}
        atomic_write(path.with_suffix(".json"), json.dumps(described, indent=2))
    return path


def check_equal(
    exported: export.Exported, batch: Batch, expected: Mapping[str, Any], tolerance: float = _TOLERANCE["float32"]
) -> None:
    """Compare an exported program with the network it was made from.

    Args:
        exported: the program.
        batch: the inputs to run it with.
        expected: the network's outputs for these inputs.
        tolerance: largest difference of an output, as a share of its largest value.

    Raises:
        ValueError: an output differs by more than rounding; the text names it.
    """
    names = jax.tree.unflatten(exported.in_tree, exported.in_avals)[0][0]
    reference = flat(expected)
    for path, output in flat(jax.device_get(exported.call({k: batch[k] for k in names}))).items():
        difference = np.abs(np.asarray(output, np.float64) - np.asarray(reference[path], np.float64)).max(initial=0)
        largest = np.abs(np.asarray(reference[path], np.float64)).max(initial=1)
        if not difference <= tolerance * largest:
            raise ValueError(f"--mode=export: {'/'.join(path)} of the exported program differs by {difference:.3g}")


def _shapes(batch: Batch, scope: export.SymbolicScope | None) -> dict[str, jax.ShapeDtypeStruct]:
    """Return the shape of each entry; with a scope, the number of rows is the unknown "b"."""
    shapes = {}
    for name, value in batch.items():
        rows = export.symbolic_shape("b", scope=scope) if scope is not None else (np.shape(value)[0],)
        shapes[name] = jax.ShapeDtypeStruct((*rows, *np.shape(value)[1:]), np.asarray(value).dtype)
    return shapes


def _described(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Return shape and type of each array by its path, such as "unmoved/boxes"."""
    return {
        "/".join(path): {"shape": [n if isinstance(n, int) else str(n) for n in a.shape], "dtype": str(a.dtype)}
        for path, a in flat(arrays).items()
    }
