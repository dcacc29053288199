"""The best of a probe's heads, chosen on examples held out of training, and its metrics on other examples.

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
    """Measure every head's accuracy: {"heads": float [F, L]}, for hooks that choose among heads (`best_heads`)."""

    def update(state: Int[np.ndarray, "*n"], outputs: Mapping, batch: Mapping) -> Int[np.ndarray, "2 F L"]:
        mask = np.asarray(batch["_mask"], bool)
        right = np.asarray(outputs["probabilities"])[mask].argmax(-1) == np.asarray(batch["label"])[mask, None, None]
        return state + np.stack([right.sum(axis=0), np.full(right.shape[1:], len(right))])

    def result(state: Int[np.ndarray, "*n"]) -> Result:
        refuse_empty("head_accuracies", state.sum())
        return {"heads": state[0] / state[1]}

    return Metric(lambda: np.zeros((2, 1, 1), np.int64), update, result)


def accuracies(hook: Hook, predict: Predict, state: TrainState) -> Float[np.ndarray, "F L"]:
    """Return the accuracies that an evaluation with `head_accuracies` measures.

    Args:
        hook: `train.hooks.evaluate((head_accuracies(),), data)`.
        predict: the probe's compiled `predict`.
        state: the probe's state.

    Returns:
        The accuracy of every subset's every head.
    """
    (heads,) = hook.run(predict, state).values()
    return heads


def best_heads(held_out: Sequence[Hook], predict: Predict, state: TrainState) -> list[int]:
    """Return, for each subset, the head with the highest accuracy on its held-out examples.

    Args:
        held_out: a hook with `head_accuracies` for each subset.
        predict: the probe's compiled `predict`.
        state: the probe's state.

    Returns:
        A head for each subset; of equally good ones the first, which has the lowest learning rate where rates rise.
    """
    return [int(accuracies(hook, predict, state)[f].argmax()) for f, hook in enumerate(held_out)]


def of_best_head(held_out: Hook | None, report: Hook, rates: Sequence[float]) -> Hook:
    """Evaluate only the head that is best on held-out examples, so that the tested examples do not choose it.

    Args:
        held_out: a hook with `head_accuracies` on the held-out examples of a single subset; None for the only head.
        report: a hook whose metrics read "probabilities" [B, K].
        rates: the learning rate of each head.

    Returns:
        The hook `report` on the best head, with that head's learning rate as "probe/lr".
    """

    def run(predict: Predict, state: TrainState) -> Result:
        best = best_heads([held_out], predict, state)[0] if held_out else 0
        narrowed = partial(_of_head, predict, best)
        return {**report.run(narrowed, state), "probe/lr": rates[best]}

    return report._replace(run=run)


def _of_head(predict: Predict, head: int, state: TrainState, batch: Batch) -> PyTree:
    outputs = predict(state, batch)
    return {**outputs, "probabilities": outputs["probabilities"][:, 0, head]}
