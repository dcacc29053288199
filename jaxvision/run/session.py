"""One experiment in one of four modes: train, evaluate, predict, export. What `launch.py` does after parsing."""

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxvision.channels import Channels
from jaxvision.data.classes import NO_DATA, OneGreyImage
from jaxvision.data.folder import image_files
from jaxvision.data.inputs import Inputs
from jaxvision.files import atomic_write
from jaxvision.run import config as settings
from jaxvision.run import export as exporting
from jaxvision.run import report, restart
from jaxvision.train import devices, loop
from jaxvision.train.types import Batch, Experiment, Predict, PyTree, TrainState
from jaxvision.train.writer import Writer, read_metrics, save_picture
from jaxvision.viz.curves import curves
from jaxvision.weights import load as weights
from jaxvision.weights.imported import Imported, merge


def run(name: str, module: Any, config: Any, flags: Mapping[str, Any]) -> None:
    """Run experiment `name` (its module has `build`) as the launcher's `flags` say."""
    devices.join_cluster(flags["coordinator"], flags["num_processes"], flags["process_id"])
    where = devices.choose(flags["parallel"])
    devices.check_batch_size(config.batch_size, where)
    workdir, mode = Path(flags["workdir"]), flags["mode"]
    if (again := flags["from_stage"]) and mode != "train":
        raise ValueError(f"--from_stage trains again: leave it out of --mode={mode}")
    imported = imported_weights(flags)
    origin = _origin(flags["init_from"], imported) if imported else {}
    about = {**origin, "command": flags["command"], "devices": devices.named(where)}
    if mode == "train":
        wanted = remember(workdir, name, flags["seed"], settings.to_dict(config), about, again)
    if mode == "evaluate" and getattr(config, "data", "") == NO_DATA:
        raise ValueError("--mode=evaluate needs --data: labelled images, such as folder:DIR or coco:DIR")
    known = seen(origin or remembered(workdir))
    inputs = Inputs(flags["seed"], flags["workers"], flags["strict"], *known, workdir)
    experiment = module.build(config, inputs)
    if again:
        if jax.process_count() > 1:
            raise ValueError("--from_stage runs in one process: leave --num_processes out")
        restart.forget(workdir, [stage.name for stage in experiment.stages], again)
        write(workdir, wanted)
    how = loop.Run(
        workdir,
        jax.random.PRNGKey(flags["seed"]),
        where,
        Writer(workdir, active=jax.process_index() == 0),
        flags["log_every"],
        flags["save_every"],
        flags["keep"],
        partial(start_from, imported) if imported else lambda state: state,
    )
    about |= {"experiment": name, "config": settings.to_dict(config)}
    try:
        if mode == "train":
            train(experiment, how, flags)
        else:
            {"evaluate": evaluate, "predict": predict, "export": export}[mode](experiment, how, flags, imported)
    finally:
        if mode in ("train", "evaluate") and how.writer.active and read_metrics(workdir / "metrics.jsonl"):
            report.safely(partial(report.write, workdir, about), how.writer.say)


def imported_weights(flags: Mapping[str, Any]) -> Imported | None:
    """What `--init_from` names, of which `--head=new` leaves the classifier out. To be used as it is, it needs one."""
    if not flags["init_from"]:
        return None
    imported = weights.load(flags["init_from"], flags["head"])
    if flags["mode"] == "train":
        return imported
    if (Path(flags["workdir"]) / "config.json").exists():
        raise ValueError(
            f"--init_from: {flags['workdir']} holds a run with weights of its own; leave --init_from out, or choose "
            "another --workdir"
        )
    if not imported.class_names:
        raise ValueError(f"--mode={flags['mode']}: {imported.origin} has no classifier; train one, with --mode=train")
    return imported


def start_from(imported: Imported, state: TrainState) -> TrainState:
    """A new state with imported weights in their place, also in averages and copies that began as the parameters."""
    merged = merge({"params": state.params, **state.model_state}, imported)
    params = merged.pop("params")
    aux = {k: params if _same_layout(v, state.params) else v for k, v in state.aux.items()}
    return dataclasses.replace(state, params=params, model_state=merged, aux=aux)


def _same_layout(a: PyTree, b: PyTree) -> bool:
    return str(jax.tree.structure(a)) == str(jax.tree.structure(b))


def remembered(workdir: Path) -> dict[str, Any]:
    """What `_origin` wrote into this workdir's config.json; {} for a run that began from nothing."""
    path = workdir / "config.json"
    saved = json.loads(path.read_text()) if path.exists() else {}
    return {name: saved[name] for name in ("init_from", "normalise", "prepared") if name in saved}


def _origin(spec: str, imported: Imported) -> dict[str, Any]:
    """What config.json says of imported weights, enough to use the trained network without their file."""
    return {
        "init_from": spec,
        "normalise": {"mean": imported.mean, "std": imported.std},
        "prepared": imported.record(),
    }


def seen(origin: Mapping[str, Any]) -> tuple[tuple[Channels, Channels] | None, tuple[str, ...]]:
    """Mean and standard deviation of pixels, where known, and the classes that imported weights were trained with."""
    pixels = origin.get("normalise", {})
    mean, std = pixels.get("mean"), pixels.get("std")
    return (tuple(mean), tuple(std)) if mean else None, tuple(origin.get("prepared", {}).get("class_names", ()))


def remember(
    workdir: Path, name: str, seed: int, config: Mapping[str, Any], origin: Mapping[str, Any] = {}, again: str = ""
) -> dict[str, Any]:
    """Write config.json. ValueError names every flag that differs from those of the run that the workdir holds.

    A run that failed before its first line of metrics holds nothing: its config.json is replaced. Flags of the stage
    that is to be done `again`, such as svm.c, may differ from those it was done with; they are returned with the rest,
    for `write` to put down once that stage is gone.
    """
    path = workdir / "config.json"
    wanted = json.loads(json.dumps({"experiment": name, "seed": seed, "config": config, **origin}))
    if path.exists() and (workdir / "metrics.jsonl").exists():
        saved = json.loads(path.read_text())
        own = ("experiment", "seed", "init_from")
        flat = [{key: c[key] for key in own if key in c} | c["config"] for c in (saved, wanted)]
        if flat[0]["experiment"] != name:
            flat = [{"experiment": c["experiment"]} for c in flat]
        flat = [{k: v for k, v in c.items() if not (again and k.startswith(f"{again}."))} for c in flat]
        if different := settings.differences(*flat):
            raise ValueError(f"{workdir} holds another run: {'; '.join(different)}; choose another --workdir")
    else:
        write(workdir, wanted)
    return wanted


def write(workdir: Path, wanted: Mapping[str, Any]) -> None:
    """Put config.json in its place, whole."""
    if jax.process_index() == 0:
        path = workdir / "config.json"
        workdir.mkdir(parents=True, exist_ok=True)
        atomic_write(path, json.dumps(wanted, indent=2))


def train(experiment: Experiment, how: loop.Run, flags: Mapping[str, Any]) -> None:
    """Every stage; then the curves, and a line that says how it went and where to look."""
    try:
        loop.train(experiment, how)
    finally:
        rows = read_metrics(how.workdir / "metrics.jsonl")
        if rows and how.writer.active:
            path = how.workdir / "images" / "curves.png"
            report.safely(lambda: save_picture(path, curves(rows)), how.writer.say)
    values = {k: v for row in rows for k, v in row.items() if "/" in k and not k.startswith(("train/", "time/"))}
    how.writer.say("  ".join(f"{k} {v:.4g}" for k, v in values.items()))
    how.writer.say(f"metrics in {how.workdir}/metrics.jsonl, pictures in {how.workdir}/images/")


def ready(
    experiment: Experiment, how: loop.Run, batch: Batch, which: str, imported: Imported | None
) -> tuple[Predict, TrainState]:
    """The network of the last stage: that of its newest (or best) checkpoint, or imported as a whole."""
    stage = experiment.stages[-1]
    if imported is None:
        return loop.restore(stage, how, batch, which)
    # Nothing of it is drawn at random, which would take longer than everything else.
    empty = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), jax.eval_shape(stage.task.init, how.key, batch))
    return devices.compile_predict(stage.task, how.devices), devices.place(start_from(imported, empty), how.devices)


def evaluate(experiment: Experiment, how: loop.Run, flags: Mapping[str, Any], imported: Imported | None = None) -> None:
    """The hooks of the last stage, into evaluation.json and images/."""
    stage = experiment.stages[-1]
    batch = devices.first_batch(stage.data) if stage.data else {}
    network, state = ready(experiment, how, batch, flags["checkpoint"], imported)
    result = loop.look(stage.hooks, network, state, int(state.step), "evaluate", how)
    figures = {k: float(v) for k, v in result.items() if not isinstance(v, np.ndarray | str)}
    if how.writer.active:
        said = {"step": int(state.step), **figures, "command": flags["command"]}
        atomic_write(how.workdir / "evaluation.json", json.dumps(said, indent=2))
        how.writer.say(f"written to {how.workdir}/evaluation.json")


def predict(experiment: Experiment, how: loop.Run, flags: Mapping[str, Any], imported: Imported | None = None) -> None:
    """What the network says of the images of `--input`, into predictions.json and predictions-….png."""
    shown = experiment.presentation
    if shown is None:
        raise ValueError("--mode=predict: this experiment has nothing to predict for an image")
    if not flags["input"]:
        raise ValueError("--mode=predict needs --input: a file, a folder or a quoted pattern such as 'photos/*.jpg'")
    if jax.process_count() > 1:
        raise ValueError("--mode=predict runs in one process: leave --num_processes out")
    records = image_files(flags["input"])
    batches = shown.data(records)
    network, state = ready(experiment, how, devices.first_batch(batches), flags["checkpoint"], imported)
    said: list[dict[str, Any]] = []
    names, pictures = _own_names(records.files), 0
    with devices.share(batches) as pages:
        for page, batch in enumerate(pages):
            rows = np.flatnonzero(batch["_mask"])
            if not rows.size:
                continue  # none of its images can be read
            outputs = network(state, batch)
            # Batches of one canvas shape are not in the order of the files, and say which images they hold.
            numbers = batch.get("image_id", page * len(batch["_mask"]) + np.arange(len(batch["_mask"])))
            said += [{"file": records.name(int(numbers[r])), **shown.describe(outputs, batch, int(r))} for r in rows]
            save_picture(how.workdir / f"predictions-{pictures:03d}.png", shown.draw(outputs, batch))
            pictures += 1
            if shown.label_map is not None:
                for r in rows:
                    path = how.workdir / "label_maps" / f"{names[int(numbers[r])]}.png"
                    save_picture(path, shown.label_map(outputs, batch, int(r)))
    atomic_write(how.workdir / "predictions.json", json.dumps(shown.document(said), indent=2))
    how.writer.say(f"{len(said)} of {len(records)} images: {how.workdir}/predictions.json and predictions-000.png …")
    report.safely(partial(report.write_predictions, how.workdir, pictures, flags["command"]), how.writer.say)


def _own_names(files: Sequence[str]) -> list[str]:
    """Of each file, its name without folder and ending, and with its number where several are called so."""
    stems = [Path(file).stem for file in files]
    counts = Counter(stems)
    return [f"{stem}-{i}" if counts[stem] > 1 else stem for i, stem in enumerate(stems)]


def export(experiment: Experiment, how: loop.Run, flags: Mapping[str, Any], imported: Imported | None = None) -> None:
    """Write the network as one file for other programs; its shapes are those of an image of `--input`, if given."""
    stage, shown = experiment.stages[-1], experiment.presentation
    if shown is None:
        raise ValueError("--mode=export: this experiment has nothing to predict for an image")
    records = image_files(flags["input"]) if flags["input"] else OneGreyImage()
    batch = dict(devices.first_batch(shown.data(records)))
    batch["image"] = np.random.default_rng(0).integers(0, 256, batch["image"].shape, np.uint8)
    network, state = ready(experiment, how, batch, flags["checkpoint"], imported)
    expected, state = network(state, batch), devices.to_host(state)
    if flags["format"] == "safetensors":
        variables = {"params": state.aux.get("average", state.params), **state.model_state}
        path = exporting.write_safetensors(how.workdir / "export", variables)
    else:
        path = exporting.write_stablehlo(how.workdir / "export", partial(stage.task.predict, state), batch, expected)
    how.writer.say(f"written to {path}")
