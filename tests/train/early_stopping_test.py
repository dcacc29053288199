"""When a training has stopped getting better."""

import math

import pytest

from jaxvision.train.early_stopping import stalled


def rows(*values: float) -> list[dict]:
    return [{"stage": "train", "step": i, "val/accuracy": v} for i, v in enumerate(values)] + [{"stage": "train"}]


@pytest.mark.parametrize(
    ("values", "evaluations", "expected"),
    [
        ((0.1, 0.2, 0.3), 1, False),
        ((0.1, 0.3, 0.3), 1, True),
        ((0.1, 0.3, 0.2), 2, False),
        ((0.3, 0.1, 0.2), 2, True),
        ((0.3, 0.1, 0.4), 2, False),
        ((0.3, 0.1, 0.2), 0, False),
        ((0.3,), 1, False),
        ((math.nan, 0.1, 0.2), 1, False),
        ((0.1, 0.2, math.nan), 1, True),
        ((0.3, math.nan, 0.1), 2, True),
        ((0.1, math.nan, 0.3), 2, False),
        ((0.2, math.nan, 0.1, 0.1), 2, True),
        ((math.nan, 0.2, 0.1, 0.1), 2, True),
        ((math.nan, math.nan), 1, True),
        ((), 1, False),
    ],
)
def test_the_last_values_are_compared_with_those_before(values: tuple, evaluations: int, expected: bool):
    assert stalled(rows(*values), "train", "val/accuracy", evaluations) is expected


def test_other_stages_and_metrics_do_not_count():
    assert not stalled([*rows(0.3), *({"stage": "judge", "val/accuracy": 0.1},) * 3], "train", "val/accuracy", 2)
    assert not stalled(rows(0.3, 0.1, 0.1), "train", "val/AP50", 2)
