"""Hooks that every experiment uses: a figure over a data set, a picture of a batch, a picture of the parameters."""

from collections.abc import Callable

import numpy as np

from jaxvision.train import progress
from jaxvision.train.devices import first_batch, gather_objects, share
from jaxvision.train.types import Batch, Data, Hook, Metric, Predict, PyTree, Result, TrainState


def evaluate(metrics: tuple[Metric, ...], data: Data, *, every: int = 0, name: str = "val") -> Hook:
    """Return a hook that computes metrics over a whole data set, in one pass.

    Each process evaluates its share; the metrics' states are merged, so all processes report the same figures.

    Args:
        metrics: the metrics; every example counts once.
        data: the data set.
        every: training steps between evaluations; 0 evaluates only at the end of the stage.
        name: the metrics are reported as `<name>/<key>`, except for JSON, which is a file of its key's name.

    Returns:
        The hook.
    """

    def run(predict: Predict, state: TrainState) -> Result:
        totals = [m.init() for m in metrics]
        with share(data) as batches:
            for batch in progress.counted(batches, f"evaluating {name}"):
                outputs = predict(state, batch)
                totals = [m.update(t, outputs, batch) for m, t in zip(metrics, totals, strict=True)]
        merged, *others = gather_objects(totals)
        for other in others:
            merged = [m.merge(a, b) for m, a, b in zip(metrics, merged, other, strict=True)]
        results = [m.result(t) for m, t in zip(metrics, merged, strict=True)]
        together = [(key, value) for result in results for key, value in result.items()]
        return {key if key.endswith(".json") else f"{name}/{key}": value for key, value in together}

    return Hook(name, every, run)


def picture(name: str, data: Data, draw: Callable[[PyTree, Batch], np.ndarray], *, every: int = 0) -> Hook:
    """Return a hook that draws the outputs for the first batch of a data set.

    Args:
        name: the picture's name.
        data: the data set.
        draw: function from outputs and batch to a picture, uint8 [H, W, 3].
        every: training steps between pictures; 0 draws only at the end of the stage.

    Returns:
        The hook.
    """

    def run(predict: Predict, state: TrainState) -> Result:
        batch = first_batch(data)
        return {name: draw(predict(state, batch), batch)}

    return Hook(name, every, run)


def parameters(name: str, draw: Callable[[TrainState], np.ndarray], *, every: int = 0) -> Hook:
    """Return a hook that draws what was learned, such as the first layer's filters.

    Args:
        name: the picture's name.
        draw: function from the state to a picture, uint8 [H, W, 3].
        every: training steps between pictures; 0 draws only at the end of the stage.

    Returns:
        The hook.
    """
    return Hook(name, every, lambda predict, state: {name: draw(state)})
