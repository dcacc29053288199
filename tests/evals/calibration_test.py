"""The calibration error, by hand."""

import numpy as np
import pytest

from jaxvision.evals.calibration import calibration
from tests.evals.detection_cases import evaluate


def batch_of(labels: list[int], *, real: list[bool] | None = None) -> dict:
    return {"label": np.array(labels), "_mask": np.array(real or [True] * len(labels))}


def test_the_error_is_the_distance_from_the_share_that_is_right():
    sure = np.array([[0.95, 0.05]] * 4 + [[0.6, 0.4]] * 2)
    found = evaluate(calibration(), [({"probabilities": sure}, batch_of([0, 0, 0, 1, 0, 1]))])
    assert found["ece"] == pytest.approx((4 * abs(0.95 - 0.75) + 2 * abs(0.6 - 0.5)) / 6)
    assert found["calibration"].dtype == np.uint8 and found["calibration"].shape[2] == 3


def test_batches_add_up_padding_does_not_count_and_logits_are_softened():
    logits = np.log(np.array([[0.75, 0.25], [0.75, 0.25]]))
    real = calibration().update(calibration().init(), {"logits": logits}, batch_of([0, 1]))
    padded = calibration().update(calibration().init(), {"logits": logits}, batch_of([0, 1], real=[True, False]))
    assert evaluate(calibration(), [({"logits": logits}, batch_of([0, 1]))])["ece"] == pytest.approx(0.25)
    assert real[0].sum() == 2 and padded[0].sum() == 1


def test_no_example_is_an_error():
    with pytest.raises(ValueError, match="calibration: the evaluation data has no examples"):
        calibration().result(calibration().init())
