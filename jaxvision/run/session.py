"""One experiment in the mode that `--mode` names, from train to export. `launch.py` calls it after parsing."""

import contextlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
from absl import logging

from jaxvision.data.classes import NO_DATA
from jaxvision.data.inputs import Inputs
from jaxvision.data.readable import check_readable
from jaxvision.data.source_log import SourceLog
from jaxvision.files import atomic_write
from jaxvision.recipes import pretrained
from jaxvision.run import config as settings
from jaxvision.run import epochs, report, restart, show, xla
from jaxvision.run.embedding import embed
from jaxvision.run.evaluation import evaluate
from jaxvision.run.export import export_network
from jaxvision.run.lock import one_writer
from jaxvision.run.network import imported_weights, start_from
from jaxvision.run.precision import products_here
from jaxvision.run.prediction import predict
from jaxvision.run.request import FOR_TRAINING, Request
from jaxvision.run.sampling import sample
from jaxvision.run.saved_run import read
from jaxvision.run.trained import evaluated, for_use, other_data
from jaxvision.run.training import train
from jaxvision.run.versions import versions
from jaxvision.run.workdir_config import (
    LEARNED,
    as_seen,
    origin_of,
    read_origin,
    remember,
    remember_learned,
    write,
)
from jaxvision.train import devices, progress
from jaxvision.train.averaging import averaged_stages
from jaxvision.train.restore import Run
from jaxvision.train.signals import stop_at_once
from jaxvision.train.types import Experiment, Say
from jaxvision.train.writer import METRICS, Writer, read_metrics
from jaxvision.weights.imported import Imported


def run(request: Request, module: ModuleType) -> None:
    """Run one experiment as the user asked.

    Args:
        request: the experiment's name and settings, and the launcher's flags.
        module: the experiment's module, whose `build` makes its stages.

    Raises:
        ValueError: flags, files or data do not fit each other; the text says what to do.
        Interrupted: a signal stopped the run; what it had done is saved.
    """
    flags = request.flags
    trains = flags.mode == "train"
    with (
        stop_at_once("the preparations" if trains else f"--mode={flags.mode}", code=0 if trains else -1),
        devices.cluster(flags.coordinator, flags.num_processes, flags.process_id, flags.distributed),
        one_writer(Path(flags.workdir), flags.only)
        if trains and jax.process_index() == 0
        else contextlib.nullcontext(),
        progress.shown(jax.process_index() == 0),
        products_here(flags.precision, logging.warning),
    ):
        xla.check_determinism(flags.deterministic)
        _run(request, module)


def _run(request: Request, module: ModuleType) -> None:
    """Do what `run` does, in a workdir that no other training writes into."""
    _check(request)
    request = request._replace(config=_with_epochs(request, module))
    flags, workdir = request.flags, Path(request.flags.workdir)
    machine = devices.choose(flags.parallel)
    devices.check_batch_size(request.config.batch_size, machine)
    imported = imported_weights(flags, request.experiment)
    origin = origin_of(flags.init_from, imported) if imported else {}
    about = _about(request, machine, origin)
    described = _remembered(request, about) if flags.mode == "train" else {}
    writer = Writer(workdir, active=jax.process_index() == 0, shared=bool(flags.only))
    saved = _saved(flags.mode, workdir, imported)
    log = SourceLog(writer.say)
    config = for_use(request.config, flags.mode, saved, writer.say)
    if imported and (chosen := pretrained.account(imported, request.experiment, settings.to_dict(config))):
        writer.say(chosen)
    inputs = _inputs(request, origin or read_origin(workdir), saved, log)
    request = request._replace(config=config)
    experiment = _built(request, module, inputs, log)
    if flags.from_stage:
        restart.forget(workdir, [stage.name for stage in experiment.stages], flags.from_stage)
        write(workdir, described)
    if flags.mode == "train":
        remember_learned(workdir, log.learned(getattr(config, "data", "")))
    if writer.active and (lost := log.left_out()):
        atomic_write(workdir / "left_out.txt", "".join(f"{line}\n" for line in lost))
    run = _run_of(request, machine, writer, imported, experiment.best)
    try:
        _use(experiment, run, request, inputs, log, imported)
    except (Exception, KeyboardInterrupt) as error:
        # An error is the last line that is said; a run that was stopped has ended well.
        _report(run, request, about, writer.say if isinstance(error, KeyboardInterrupt) else lambda line: None)
        raise
    _report(run, request, about, writer.say)


def _saved(mode: str, workdir: Path, imported: Imported | None) -> dict[str, Any]:
    """Return config.json of the run that is used or goes on.

    Args:
        mode: the launcher's --mode; what an older run learned does not matter to show.
        workdir: the folder of the run.
        imported: weights that are used; a file of ours stands for the run that trained it.
    """
    own = dict(imported.run) if imported and mode not in FOR_TRAINING else {}
    return {} if mode == "show" else own or read(workdir)


def _run_of(request: Request, machine: devices.Devices, writer: Writer, imported: Imported | None, best: str) -> Run:
    """Return where and how the stages are run."""
    flags = request.flags
    return Run(
        Path(flags.workdir),
        jax.random.PRNGKey(flags.seed),
        machine,
        writer,
        flags.log_every,
        flags.save_every,
        flags.keep,
        partial(start_from, imported, writer.say) if imported else lambda state: state,
        best,
        flags.stop_after,
    )


def _about(request: Request, machine: devices.Devices, origin: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept and reported of a run beside its settings: where weights are from, the command, versions."""
    flags = request.flags
    about = {**origin, "command": request.command, "devices": devices.named(machine), "precision": flags.precision}
    return {**about, "versions": versions()} if flags.mode in _REPORTED else about


def _remembered(request: Request, about: Mapping[str, Any]) -> dict[str, Any]:
    """Write config.json before a training, or compare the settings with those that are there; return its content."""
    config = request.config
    return remember(
        Path(request.flags.workdir),
        request.experiment,
        request.flags.seed,
        settings.to_dict(config),
        about,
        repeat=request.flags.from_stage,
        defaults=settings.to_dict(type(config)()),
        epochs=request.flags.epochs,
    )


def _built(request: Request, module: ModuleType, inputs: Inputs, log: SourceLog) -> Experiment:
    """Build the experiment, which opens its data, and check what a training needs of it before the first step."""
    config = request.config
    with progress.busy("reading the data"):
        experiment = averaged_stages(module.build(config, inputs), getattr(config, "average_decay", 0.0))
        if request.flags.only and not experiment.compares:
            raise ValueError(
                f"--only={','.join(request.flags.only)}: {request.experiment} is no comparison; leave it out"
            )
        if request.flags.mode == "train":
            _check_evaluation(config, log)
            _check_stop_after(request.flags.stop_after, experiment.best)
    return experiment


def _use(
    experiment: Experiment, run: Run, request: Request, inputs: Inputs, log: SourceLog, imported: Imported | None
) -> None:
    """Do with the experiment what the mode asks for."""
    flags, config, say = request.flags, request.config, run.writer.say
    if flags.mode == "show":
        show.show(experiment, run, request, inputs, log)
    elif flags.mode != "train":
        _USES[flags.mode](experiment, run, request._replace(evaluated=evaluated(config, log)), imported)
    else:
        if run.writer.active and (flags.from_stage or not (run.workdir / show.DATA).exists()):
            with progress.busy("drawing and counting the training data"):
                show.keep(experiment, run.workdir, config, inputs, log, say)
        train(experiment, run)


_REPORTED = ("train", "evaluate")  # the modes that write report.html
_USES: Mapping[str, Callable[..., None]] = {
    "evaluate": evaluate,
    "predict": predict,
    "sample": sample,
    "embed": embed,
    "export": export_network,
}


def _report(run: Run, request: Request, about: Mapping[str, Any], say: Say) -> None:
    """Write the report of a training or an evaluation that has written metrics."""
    if request.flags.mode in _REPORTED and run.writer.active and read_metrics(run.workdir / METRICS):
        about = {**about, "experiment": request.experiment, "config": settings.to_dict(request.config)}
        with progress.busy("writing the report"):
            report.safely(partial(report.write, run.workdir, about), say)


def _inputs(request: Request, origin: Mapping[str, Any], saved: Mapping[str, Any], log: SourceLog) -> Inputs:
    """Return how the run opens data: as its own training did, or as imported weights were trained."""
    flags = request.flags
    pixels, class_names = as_seen(origin)
    learned = saved.get(LEARNED, {})
    if learned:
        pixels = tuple(learned["mean"]), tuple(learned["std"])
        class_names = tuple(learned["class_names"])
    return Inputs(
        flags.seed,
        flags.workers,
        flags.strict,
        pixels,
        class_names,
        Path(flags.workdir),
        training=flags.mode in FOR_TRAINING,
        by_name=bool(learned),
        whole=flags.mode == "evaluate" and other_data(request.config, saved),
        log=log,
        precision=flags.precision,
        only=flags.only,
    )


def _check_evaluation(config: Any, log: SourceLog) -> None:
    """Raise ValueError if no image of the split that a run evaluates can be read, before it trains."""
    source, split = log.opened.get(getattr(config, "data", "")), getattr(config, "val_split", "val")
    if source is not None and split.partition("[")[0] in source.splits:
        check_readable(f"--data={config.data}", split, source[split])


def _check_stop_after(evaluations: int, best: str) -> None:
    """Raise ValueError for --stop_after where no metric says which of two networks is better."""
    if evaluations and not best:
        raise ValueError("--stop_after: this experiment has no metric that marks its best checkpoint; leave it out")


def _with_epochs(request: Request, module: ModuleType) -> Any:
    """Return the settings with the steps that --epochs asks for, for which the data is opened and counted first."""
    if not request.flags.epochs:
        return request.config
    epochs.check(request.config)
    log = SourceLog()
    module.build(request.config, _inputs(request, {}, {}, log))
    return epochs.in_steps(request.config, request.flags.epochs, log)


def _check(request: Request) -> None:
    """Raise ValueError for flags that contradict each other."""
    flags = request.flags
    if flags.from_stage and flags.mode != "train":
        raise ValueError(f"--from_stage trains again: leave it out of --mode={flags.mode}")
    if flags.epochs and flags.mode not in FOR_TRAINING:
        raise ValueError(f"--epochs is the length of a training: leave it out of --mode={flags.mode}")
    if flags.only and flags.mode not in FOR_TRAINING:
        raise ValueError(f"--only chooses what is trained: leave it out of --mode={flags.mode}")
    for name in ("stop_after", "from_stage"):
        if getattr(flags, name):
            devices.require_one_process(f"--{name}")
    if flags.mode == "evaluate" and getattr(request.config, "data", "") == NO_DATA:
        raise ValueError("--mode=evaluate needs --data: labelled images, such as folder:DIR or coco:DIR")
