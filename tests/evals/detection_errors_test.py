import numpy as np
import pytest

from jaxvision.evals import detection_errors
from jaxvision.evals.detection_errors import worst_errors
from jaxvision.viz.detection_errors import cut
from tests.evals.detection_cases import NAMES, random_batches, single

METRIC = worst_errors(NAMES, each=2)
OBJECT = [10, 10, 30, 30]


def errors_of(*args, **kwargs):
    state = METRIC.update(METRIC.init(), *single(*args, **kwargs))
    return {(e.missed, NAMES[e.label], e.why) for e in state}


@pytest.mark.parametrize(
    ("boxes", "scores", "labels", "expected"),
    [
        ([OBJECT], [0.9], [1], set()),
        ([], [], [], {(True, "cat", "not found")}),
        ([OBJECT], [0.9], [2], {(False, "dog", "is cat"), (True, "cat", "taken for dog")}),
        ([OBJECT], [0.2], [1], {(True, "cat", "score too low")}),
        ([[20, 10, 40, 30]], [0.9], [1], {(False, "cat", "misplaced"), (True, "cat", "misplaced")}),
        ([OBJECT, OBJECT], [0.9, 0.8], [1, 1], {(False, "cat", "found twice")}),
        ([OBJECT, [60, 60, 80, 80]], [0.9, 0.8], [1, 1], {(False, "cat", "background")}),
        ([OBJECT, [60, 60, 80, 80]], [0.9, 0.4], [1, 1], set()),
    ],
)
def test_why(boxes, scores, labels, expected):
    assert errors_of(boxes, scores, [OBJECT], labels=labels) == expected


def test_what_is_to_be_ignored_is_neither_missed_nor_a_false_positive():
    assert errors_of([OBJECT, OBJECT], [0.9, 0.8], [OBJECT], ignore=[1]) == set()


def test_figures_and_tiles():
    (error,) = METRIC.update([], *single([OBJECT, [60, 60, 80, 80]], [0.9, 0.75], [OBJECT], image_id=7))
    assert (error.score, error.iou, error.image_id, error.rank) == (0.75, 0.0, 7, 0.75)
    assert error.tile.ndim == 3 and error.tile.any()


def test_all_errors_are_kept_but_tiles_of_the_worst_only():
    state = METRIC.init()
    for batch in random_batches(0, images=40, scale=1.5):
        state = METRIC.update(state, *batch)
    for label in range(1, len(NAMES)):
        for missed in (False, True):
            own = sorted((e for e in state if (e.label, e.missed) == (label, missed)), key=lambda e: -e.rank)
            assert len(own) > 2
            assert sum(e.tile is not None for e in own) == 2
            assert min(e.rank for e in own if e.tile is not None) >= max(e.rank for e in own if e.tile is None)


def test_only_tiles_that_are_kept_are_cut_and_they_are_those_of_a_metric_that_keeps_all(monkeypatch):
    cuts = []
    monkeypatch.setattr(detection_errors, "cut", lambda *boxes: cuts.append(boxes) or cut(*boxes))
    batches, all_of_them = random_batches(0, images=40, scale=1.5), worst_errors(NAMES, each=1000)
    state, complete, kept = METRIC.init(), all_of_them.init(), 0
    for batch in batches:
        earlier = {id(e) for e in state}
        state = METRIC.update(state, *batch)
        kept += sum(e.tile is not None and id(e) not in earlier for e in state)
    assert len(cuts) == kept < len(state) / 3
    for batch in batches:
        complete = all_of_them.update(complete, *batch)
    assert [e._replace(tile=None) for e in state] == [e._replace(tile=None) for e in complete]
    for mine, whole in zip(state, complete, strict=True):
        assert mine.tile is None or np.array_equal(mine.tile, whole.tile)


def test_result_is_a_picture_that_processes_agree_on():
    states = [METRIC.update(METRIC.init(), *batch) for batch in random_batches(1)]
    picture = METRIC.result(METRIC.merge(states[0], states[1]))["worst_errors"]
    assert picture.dtype == np.uint8 and picture.shape[2] == 3
    assert METRIC.result(METRIC.init())["worst_errors"].shape[1] == picture.shape[1]
