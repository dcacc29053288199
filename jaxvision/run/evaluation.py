"""`--mode=evaluate`: the hooks of the last stage, into evaluation.json and images/."""

import json

import numpy as np

from jaxvision.files import atomic_write
from jaxvision.run.network import ready
from jaxvision.run.request import Request
from jaxvision.run.results import EVALUATION
from jaxvision.train import devices
from jaxvision.train.loop import look
from jaxvision.train.restore import Run
from jaxvision.train.types import Experiment
from jaxvision.weights.imported import Imported


def evaluate(experiment: Experiment, run: Run, request: Request, imported: Imported | None = None) -> None:
    """Evaluate the network of the last stage and write evaluation.json.

    Args:
        experiment: its last stage has the hooks to run.
        run: where and how the stages are run.
        request: says which checkpoint to use; its command goes into evaluation.json.
        imported: weights of a whole network to use instead of a checkpoint's.

    Raises:
        ValueError: there is no checkpoint, or the weights do not fit the network.
    """
    stage = experiment.stages[-1]
    batch = devices.first_batch(stage.data) if stage.data else {}
    network, state = ready(stage, run, batch, request.flags.checkpoint, imported)
    result = look(stage.hooks, network, state, EVALUATION, run)
    figures = {k: float(v) for k, v in result.items() if not isinstance(v, np.ndarray | str)}
    if run.writer.active:
        about = {"evaluated": request.evaluated} if request.evaluated else {}
        document = {"step": int(state.step), **figures, **about, "command": request.command}
        atomic_write(run.workdir / "evaluation.json", json.dumps(document, indent=2))
        what = request.evaluated
        counted = f"{what['images']} images, {what['origin'] or what['split']} of {what['data']}: " if what else ""
        run.writer.say(f"{counted}written to {run.workdir}/evaluation.json")
