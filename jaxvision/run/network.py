"""The weights of a network: imported ones, to start from or to be used as they are, and those of a checkpoint."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from jaxvision.recipes.pretrained import for_training
from jaxvision.run.request import FOR_TRAINING, Flags
from jaxvision.train import devices
from jaxvision.train.compiling import announced
from jaxvision.train.restore import Run, restore
from jaxvision.train.types import Batch, Predict, PyTree, Stage, TrainState
from jaxvision.weights import load as weights
from jaxvision.weights.description import describe
from jaxvision.weights.finite import unusable
from jaxvision.weights.imported import Imported, merge


def imported_weights(flags: Flags, experiment: str) -> Imported | None:
    """Load the weights of --init_from, without their classifier if --head=new or where the experiment trains none.

    Args:
        flags: the launcher's.
        experiment: its name, such as "detection/faster_rcnn", which has no place for the classifier of whole images.

    Returns:
        The weights; None without that flag.

    Raises:
        ValueError: the mode is not train or show, and the file has no classifier or the workdir holds a run of its own.
    """
    if not flags.init_from:
        return None
    imported = weights.load(flags.init_from, flags.head)
    if flags.mode in FOR_TRAINING:
        return for_training(imported, experiment)
    if (Path(flags.workdir) / "config.json").exists():
        raise ValueError(
            f"--init_from: {flags.workdir} holds a run with weights of its own; leave --init_from out, or choose "
            "another --workdir"
        )
    if not imported.class_names and not imported.run:
        raise ValueError(f"--mode={flags.mode}: {imported.origin} has no classifier; train one, with --mode=train")
    return imported


def start_from(imported: Imported, say: Callable[[str], None], state: TrainState) -> TrainState:
    """Put imported weights into a new state, and into averages and copies that began as its parameters.

    Args:
        imported: the weights.
        say: is given a line about what the weights replaced, and what is newly drawn.
        state: the state, newly drawn.

    Returns:
        The state to start from.

    Raises:
        ValueError: the weights do not fit the network.
    """
    variables = {"params": state.params, **state.model_state}
    if imported.run and not state.params.keys() & imported.variables["params"].keys():
        say(f"{imported.origin}: has no layer of this stage, which begins with random weights")  # as a GAN's judge
        return state
    merged = merge(variables, imported)
    say(describe(variables, imported))
    if warning := unusable(imported):
        say(f"warning: {warning}")
    params = merged.pop("params")
    begun = dataclasses.replace(state, params=params, model_state=merged)
    return dataclasses.replace(begun, aux={name: _copy(name, v, state, begun) for name, v in state.aux.items()})


def variables_in_use(state: TrainState) -> dict[str, PyTree]:
    """Return the variables that predictions are made with: averages stand in the place of what they average."""
    trees = {"params": state.params, "model_state": state.model_state}
    for name, collection in _AVERAGES.items():
        average, tree = state.aux.get(name), trees[collection]
        if average is not None and _same_layout(average, tree):
            trees[collection] = average
        elif average is not None and (part := _part_like(average, tree)):
            trees[collection] = {**tree, part: average}
    return {"params": trees["params"], **trees["model_state"]}


def ready(
    stage: Stage, run: Run, batch: Batch, checkpoint: str, imported: Imported | None
) -> tuple[Predict, TrainState]:
    """Make a network ready to predict.

    Args:
        stage: the stage that trains the network.
        run: where and how it is run.
        batch: a batch that has the shapes of those to come.
        checkpoint: "latest" or "best".
        imported: weights of a whole network to use instead of a checkpoint's; None for the checkpoint.

    Returns:
        The compiled `predict` and the state for it, placed on the devices.

    Raises:
        ValueError: there is no such checkpoint, or the weights do not fit the network.
    """
    if imported is None:
        return restore(stage, run, batch, checkpoint)
    # Start from zeros instead of `init`: the imported weights replace every array, and drawing random ones takes longer
    # than the rest of the command.
    empty = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), jax.eval_shape(stage.task.init, run.key, batch))
    begun = start_from(imported, run.writer.say, empty)
    predict = announced(devices.compile_predict(stage.task, run.devices), "compiling the network")
    return predict, devices.place(begun, run.devices)


_AVERAGES = {"average": "params", "average_state": "model_state"}  # in `aux`: what the entry is an average of


def _copy(name: str, value: PyTree, before: TrainState, after: TrainState) -> PyTree:
    """Return an entry of `aux` that is a copy or an average of parameters as it begins, any other as it is."""
    if _same_layout(value, before.params):
        return after.params
    if name in _AVERAGES and (part := _part_like(value, getattr(before, _AVERAGES[name]))):
        return getattr(after, _AVERAGES[name])[part]
    return value


def _part_like(average: PyTree, tree: PyTree) -> str:
    """Return the name of the part of `tree` that has the layout of the average; "" for none."""
    return next((name for name, part in tree.items() if _same_layout(average, part)), "")


def _same_layout(a: PyTree, b: PyTree) -> bool:
    return str(jax.tree.structure(a)) == str(jax.tree.structure(b))
