"""The limit over a whole set against the released procedure told as loops, image by image."""

from typing import Any

import numpy as np
import pytest

from jaxvision.evals.best_of_set import best_of_set, least_scores
from jaxvision.evals.detection import ImageRecord
from jaxvision.evals.voc_ap import voc_ap
from jaxvision.train.types import Metric
from tests.evals.detection_cases import NAMES, evaluate, random_batches

CLASSES = len(NAMES) - 1


def with_scores(seed: int, windows: int = 5) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Random batches, with scores of windows in falling order, some of them none."""
    rng, batches = np.random.default_rng(seed), random_batches(seed)
    for outputs, batch in batches:
        scores = rng.normal(0.4, 0.4, (len(batch["_mask"]), windows, CLASSES)).astype(np.float32)
        scores[rng.random(scores.shape) < 0.1] = -np.inf
        outputs["ranked"] = -np.sort(-scores, axis=1)
    return batches


def as_loops(batches: list[tuple[dict[str, Any], dict[str, Any]]], an_image: int) -> list[float]:
    """Walk through the images as rcnn_test.m does, and return the score of each class at which it has ended."""
    images = [scores for outputs, batch in batches for scores in outputs["ranked"][batch["_mask"]]]
    most = an_image * len(images)
    found = []
    for c in range(CLASSES):
        least, top, count = -np.inf, [], 0
        for scores in images:
            above = [float(score) for score in scores[:, c] if score > least]
            count += len(above)
            top = sorted([*top, *above], reverse=True)
            if count > most:
                del top[most:]
                least = top[-1]
        found.append(least)
    return found


@pytest.mark.parametrize(("seed", "an_image"), [(0, 1), (1, 2), (2, 3), (3, 5), (4, 9)])
def test_scores_are_those_of_the_released_procedure(seed: int, an_image: int):
    batches = with_scores(seed)
    scores = np.concatenate([outputs["ranked"][batch["_mask"]] for outputs, batch in batches])
    np.testing.assert_array_equal(least_scores(scores, an_image), as_loops(batches, an_image))


def test_detections_below_are_left_out():
    batches, kept = with_scores(0), []

    def result(records: list[ImageRecord]) -> dict[str, float]:
        kept.extend(records)
        return {}

    listed: Metric = voc_ap(NAMES)._replace(result=result)
    evaluate(best_of_set(listed, 1), batches)
    limited, all_of_them = kept[:], []
    kept.clear()
    evaluate(listed, batches)
    least = as_loops(batches, 1)
    for record in kept:
        above = [score >= least[label - 1] for score, label in zip(record.scores, record.labels, strict=True)]
        all_of_them += above
        one = next(r for r in limited if r.image_id == record.image_id)
        np.testing.assert_array_equal(one.scores, record.scores[above])
        np.testing.assert_array_equal(one.boxes, record.boxes[above])
        np.testing.assert_array_equal(one.labels, record.labels[above])
        np.testing.assert_array_equal(one.true_boxes, record.true_boxes)
    assert 0 < sum(all_of_them) < len(all_of_them)


def test_a_wide_limit_changes_nothing_and_parts_are_added():
    batches, plain = with_scores(1), voc_ap(NAMES)
    limited = best_of_set(plain, 100)
    halves = [limited.update(limited.init(), *batch) for batch in batches]
    both = limited.merge(limited.merge(halves[0], halves[1]), limited.merge(limited.init(), halves[2]))
    assert limited.result(both) == evaluate(limited, batches) == evaluate(plain, batches)
    assert evaluate(best_of_set(plain, 1), batches) != evaluate(plain, batches)
