"""A trained network in one file for other programs: what `--mode=export` writes into the workdir's `export/`.

`--format=stablehlo` gives the whole way from pixels to predictions, weights inside, to be run wherever jax is:

    from jax import export
    predict = export.deserialize(bytearray(open("runs/x/export/predict.stablehlo", "rb").read()))
    outputs = predict.call({"image": images})  # uint8 [B, 224, 224, 3]; predict.json names every input and output

`--format=onnx` gives the same for onnxruntime, `--format=safetensors` the weights under torchvision's names, for
`model.load_state_dict(load_file(…))`, and `--format=jaxvision` the run in one small file for
`--init_from=jaxvision:FILE`.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import export

from jaxvision.data.classes import OneGreyImage
from jaxvision.data.image_files import image_files
from jaxvision.files import atomic_write
from jaxvision.ops import dispatch
from jaxvision.run import export_scripts
from jaxvision.run.network import ready, variables_in_use
from jaxvision.run.onnx_export import write_onnx
from jaxvision.run.precision import products
from jaxvision.run.request import Request
from jaxvision.run.same_outputs import TOLERANCE, by_path, require_equal
from jaxvision.run.sampling import sampled_batch
from jaxvision.run.saved_run import read
from jaxvision.run.workdir_config import LEARNED
from jaxvision.train import devices, progress
from jaxvision.train.restore import Run
from jaxvision.train.types import Batch, Data, Experiment, Stage, TrainState
from jaxvision.weights import own, state_dict, torchvision
from jaxvision.weights.imported import Imported

PLATFORMS = ("cpu", "cuda", "tpu")

Function = Callable[[Batch], Mapping[str, Any]]


class _Exported(NamedTuple):
    """The subject of an export: a batch that shows the shapes, and which of the outputs are wanted."""

    batch: Batch
    wanted: tuple[str, ...] = ()  # (): all
    prepare: Mapping[str, Any] = {}  # see `train.types.Presentation`

    def kept(self, outputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the outputs that are wanted."""
        return {name: value for name, value in outputs.items() if not self.wanted or name in self.wanted}


def export_network(experiment: Experiment, run: Run, request: Request, imported: Imported | None = None) -> None:
    """Write the network as one file for other programs; its shapes are those of an image of --input, if given.

    A network that names images is exported with its outputs, one that was trained without labels with its features, and
    a GAN as a function from latents to samples. predict.json beside the file has the names of the classes and how
    images are prepared.

    Args:
        experiment: its last stage has the network.
        run: where and how the stages are run.
        request: says which format, which checkpoint and, by --input, which shape of images.
        imported: weights of a whole network to use instead of a checkpoint's.

    Raises:
        ValueError: the experiment has no network to export, there is no checkpoint, the format has no such network, or
            the exported program gives other outputs than the network.
    """
    stage, flags, say = experiment.stages[-1], request.flags, run.writer.say
    exported = _chosen(experiment, flags.input)
    shapes = exported.batch if "image" in exported.batch else devices.first_batch(_data(stage))
    network, state = ready(stage, run, shapes, flags.checkpoint, imported)

    def predict(state: TrainState, batch: Batch) -> Mapping[str, Any]:
        return exported.kept(stage.task.predict(state, batch))

    expected = exported.kept(network(state, exported.batch))
    state, folder, about = devices.to_host(state), run.workdir / "export", _about(run, imported, exported)
    pixels, function, tolerance = pixels_of(run.workdir, imported), partial(predict, state), TOLERANCE[flags.precision]
    with progress.busy(f"exporting as {flags.format}"):
        if flags.format == "jaxvision":
            own.write(path := folder / "run.safetensors", variables_in_use(state), read(run.workdir))
        elif flags.format == "safetensors":
            path = write_safetensors(folder, variables_in_use(state), pixels, about)
        elif flags.format == "onnx":
            path, inputs = folder / "predict.onnx", inputs_of(function, exported.batch)
            about |= write_onnx(path, function, inputs, expected, say, tolerance) | _inside(pixels)
            export_scripts.write(folder, about, "onnx")
        else:
            with products(flags.precision):  # also in a program that a CPU writes for others
                path = write_stablehlo(
                    folder, function, exported.batch, expected, say, pixels, about, tolerance=tolerance
                )
    say(f"written to {path}")


def _chosen(experiment: Experiment, pattern: str) -> _Exported:
    """Return what is exported of an experiment: predictions, features or samples."""
    records = image_files(pattern) if pattern else OneGreyImage()
    shown = experiment.presentation
    wanted: tuple[str, ...] = ()
    if experiment.sampler is not None:
        return _Exported(sampled_batch(experiment.sampler), ("samples",))
    if shown is not None and not _asks(experiment):
        data = shown.data(records)
    elif experiment.embedding is not None:
        data, wanted = experiment.embedding(records), ("features",)
    else:
        raise ValueError("--mode=export: this experiment has nothing to predict for an image")
    batch = dict(devices.first_batch(data))
    batch["image"] = np.random.default_rng(0).integers(0, 256, batch["image"].shape, np.uint8)
    prepare = dict(shown.prepare) if shown is not None else {}
    if "canvases" in prepare:
        del prepare["canvases"]
        prepare["canvas"] = list(batch["image"].shape[1:3])
    return _Exported(batch, wanted, prepare)


def _asks(experiment: Experiment) -> bool:
    """Return whether predictions are answers to pretext questions, of which only the features are of use elsewhere."""
    shown = experiment.presentation
    return experiment.embedding is not None and shown is not None and not shown.prepare


def _data(stage: Stage) -> Data:
    if stage.data is None:
        raise ValueError("--mode=export: the last stage has no data that shows the shapes of its network")
    return stage.data


def _about(run: Run, imported: Imported | None, exported: _Exported) -> dict[str, Any]:
    """Return the names of the classes, and how images are resized."""
    learned = read(run.workdir).get(LEARNED, {})
    names = imported.class_names if imported else learned.get("class_names", ())
    return {"class_names": list(names), "prepare": dict(exported.prepare)}


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
    about: Mapping[str, Any] = {},
    *,
    tolerance: float = TOLERANCE["float32"],
) -> Path:
    """Write predict.stablehlo, and predict.json with the names, shapes and types of its inputs and outputs.

    Args:
        directory: the folder to write into; it is made where it does not exist.
        predict: the function to export, with its weights inside.
        batch: one batch, whose arrays give shapes and types.
        expected: the outputs of `predict` for `batch`.
        say: shows a line, see `stablehlo`.
        pixels: as of `pixels_of`; the program does this itself.
        about: further entries of predict.json.
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
        **_inside(pixels),
        **about,
    }
    export_scripts.write(directory, described, "stablehlo")
    return path


def _inside(pixels: Mapping[str, Any]) -> dict[str, Any]:
    return {"pixels": {**pixels, "applied": "inside the program"}} if pixels else {}


def write_safetensors(
    directory: Path,
    variables: Mapping[str, Any],
    pixels: Mapping[str, Any] = {},
    about: Mapping[str, Any] = {},
) -> Path:
    """Write <network>.safetensors, a torch state dict, and beside it a JSON of the same name.

    Args:
        directory: the folder to write into; it is made where it does not exist.
        variables: the network's variables.
        pixels: as of `pixels_of`; without them there is no <network>.json.
        about: further entries of that: the names of the classes, and how images are prepared.

    Returns:
        The path of the state dict.

    Raises:
        ValueError: torchvision has no such network.
    """
    name, tensors = torchvision.write(variables)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}.safetensors"
    state_dict.write(str(path), tensors)
    if pixels:
        described = {"pixels": {**pixels, "applied": "by whoever runs the network"}, **about}
        atomic_write(path.with_suffix(".json"), json.dumps(described, indent=2))
    return path


def check_equal(
    exported: export.Exported, batch: Batch, expected: Mapping[str, Any], tolerance: float = TOLERANCE["float32"]
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
    found = jax.device_get(exported.call({k: batch[k] for k in names}))
    require_equal(by_path(found), by_path(expected), tolerance, "--mode=export")


def _shapes(batch: Batch, scope: export.SymbolicScope | None) -> dict[str, jax.ShapeDtypeStruct]:
    """Return the shape of each entry; with a scope, the number of rows is the unknown "b"."""
    shapes = {}
    for name, value in batch.items():
        rows = export.symbolic_shape("b", scope=scope) if scope is not None else (np.shape(value)[0],)
        shapes[name] = jax.ShapeDtypeStruct((*rows, *np.shape(value)[1:]), np.asarray(value).dtype)
    return shapes


def _described(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Return shape and type of each array by its path."""
    return {
        path: {"shape": [n if isinstance(n, int) else str(n) for n in a.shape], "dtype": str(a.dtype)}
        for path, a in by_path(arrays).items()
    }
