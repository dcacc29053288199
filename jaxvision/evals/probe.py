"""Which of a probe's heads is best, found on examples held out of training, and what that one says of others.

Outputs hold "probabilities" [B, F, L, K] of subset, head and class (see `tasks.probe`); a batch holds "label" int [B]
and "_mask" bool [B], true for the rows that are examples and not padding.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from jaxtyping import Float, Int

from jaxvision.evals.classification import refuse_empty
from jaxvision.train.types import Batch, Hook, Metric, Predict, PyTree, Result, TrainState


def head_accuracies() -> Metric:
    """{"heads": float [F, L]}: every head's accuracy. Not a figure by itself: for hooks that choose (`best_heads`)."""

    def update(state: Int[np.ndarray, "*n"], outputs: Mapping, batch: Mapping) -> Int[np.ndarray, "2 F L"]:
        mask = np.asarray(batch["_mask"], bool)
        right = np.asarray(outputs["probabilities"])[mask].argmax(-1) == np.asarray(batch["label"])[mask, None, None]
        return state + np.stack([right.sum(axis=0), np.full(right.shape[1:], len(right))])

    def result(state: Int[np.ndarray, "*n"]) -> Result:
        refuse_empty("head_accuracies", state.sum())
        return {"heads": state[0] / state[1]}

    return Metric(lambda: np.zeros((2, 1, 1), np.int64), update, result)


def accuracies(hook: Hook, predict: Predict, state: TrainState) -> Float[np.ndarray, "F L"]:
    """What a hook `train.hooks.evaluate((head_accuracies(),), data)` finds."""
    (heads,) = hook.run(predict, state).values()
    return heads


def best_heads(held_out: Sequence[Hook], predict: Predict, state: TrainState) -> list[int]:
    """For each subset the head that is best on its held-out examples (a hook of `head_accuracies` each); of equal ones
    the first, and so the one with the lowest rate where rates rise."""
    return [int(accuracies(hook, predict, state)[f].argmax()) for f, hook in enumerate(held_out)]


def of_best_head(held_out: Hook, report: Hook, rates: Sequence[float]) -> Hook:
    """`report` on the one head of a single subset that is best on the held-out examples, and "probe/lr", its one
    of `rates`. So the examples of `report` do not choose what they judge."""

    def run(predict: Predict, state: TrainState) -> Result:
        (best,) = best_heads([held_out], predict, state)
        narrowed = partial(_of_head, predict, best)
        return {**report.run(narrowed, state), "probe/lr": rates[best]}

    return report._replace(run=run)


def _of_head(predict: Predict, head: int, state: TrainState, batch: Batch) -> PyTree:
    outputs = predict(state, batch)
    return {**outputs, "probabilities": outputs["probabilities"][:, 0, head]}
