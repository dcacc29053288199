"""Heads are chosen by held-out examples, each of which counts once, and judged by others."""

import numpy as np
import pytest

from jaxvision.evals.classification import accuracy
from jaxvision.evals.probe import accuracies, best_heads, head_accuracies, of_best_head
from jaxvision.train.hooks import evaluate
from jaxvision.train.types import TrainState

STATE = TrainState(0, {}, {}, {}, {}, None)


def data_of(said: np.ndarray, labels: np.ndarray, size: int = 4):
    """Evaluation data whose "image" is what F × L heads say [N, F, L]; its padding is right for every head."""

    def data(shard: int, shards: int):
        for start in range(0, len(labels), size):
            rows, wanted = said[start : start + size], labels[start : start + size]
            missing = size - len(wanted)
            yield {
                "image": np.pad(rows, ((0, missing), (0, 0), (0, 0))),
                "label": np.pad(wanted, (0, missing)),
                "_mask": np.arange(size) < len(wanted),
            }

    return data


def predict(state, batch):
    return {"probabilities": np.eye(3)[batch["image"]]}


def hook(said, labels, size=4):
    return evaluate((head_accuracies(),), data_of(np.asarray(said), np.asarray(labels), size))


LABELS = np.array([0, 1, 2, 1, 0])
GOOD, POOR, BAD = LABELS, np.array([0, 1, 2, 2, 2]), np.array([1, 2, 0, 0, 1])


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_every_example_counts_once_for_every_head(size: int):
    said = np.stack([np.stack([BAD, POOR, GOOD], 1), np.stack([POOR, GOOD, BAD], 1)], axis=1)
    np.testing.assert_allclose(accuracies(hook(said, LABELS, size), predict, STATE), [[0, 0.6, 1], [0.6, 1, 0]])


def test_each_subset_has_its_own_best_head_and_of_equal_ones_the_first():
    said = np.stack([np.stack([BAD, GOOD, GOOD], 1), np.stack([POOR, POOR, BAD], 1)], axis=1)
    assert best_heads([hook(said, LABELS), hook(said, LABELS)], predict, STATE) == [1, 0]


def test_the_report_does_not_choose():
    held_out = hook(np.stack([POOR, BAD], 1)[:, None], LABELS)  # says: the first head
    report = evaluate((accuracy((1,)),), data_of(np.stack([POOR, GOOD], 1)[:, None], LABELS), name="probe", every=3)
    chosen = of_best_head(held_out, report, (0.1, 1.0))
    assert chosen.every == 3
    assert chosen.run(predict, STATE) == {"probe/accuracy": 0.6, "probe/lr": 0.1}
    alone = evaluate((accuracy((1,)),), data_of(GOOD[:, None, None], LABELS), name="probe")
    assert of_best_head(None, alone, (30.0,)).run(predict, STATE) == {"probe/accuracy": 1.0, "probe/lr": 30.0}


def test_no_examples_are_an_error():
    with pytest.raises(ValueError, match="no examples"):
        head_accuracies().result(head_accuracies().init())
