import numpy as np
import pytest

from jaxvision.evals.voc_ap import area_ap, eleven_point_ap, voc_ap
from tests.evals.detection_cases import NAMES, evaluate, random_batches, real_rows, single


def plain_iou(a, b, one):
    width = min(a[2], b[2]) - max(a[0], b[0]) + one
    height = min(a[3], b[3]) - max(a[1], b[1]) + one
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(c[2] - c[0] + one) * (c[3] - c[1] + one) for c in (a, b)]
    return width * height / (areas[0] + areas[1] - width * height)


def plain_class_ap(images, label, protocol, one):
    """The protocol as it is told: one list of all detections of the class, walked through from the best score down."""
    objects = {i: [dict(t, used=False) for t in true if t["label"] == label] for i, _, true, _ in images}
    count = sum(not t["ignore"] for true in objects.values() for t in true)
    listed = [(i, d) for i, found, _, _ in sorted(images, key=lambda x: x[0]) for d in found if d["label"] == label]
    true_positives, false_positives, points = 0, 0, []
    for i, detection in sorted(listed, key=lambda entry: -entry[1]["score"]):  # sorted() is stable
        best, highest = None, 0.0
        for candidate in objects[i]:
            overlap = plain_iou(detection["box"], candidate["box"], one)
            if overlap > highest:
                best, highest = candidate, overlap
        if best is not None and highest > 0.5:
            if best["ignore"]:
                continue
            if not best["used"]:
                best["used"] = True
                true_positives += 1
            else:
                false_positives += 1
        else:
            false_positives += 1
        points.append((true_positives, true_positives / (true_positives + false_positives)))
    if not count:
        return None
    if protocol == "voc07_11pt":
        return sum(max([p for tp, p in points if tp / count >= t * 0.1], default=0.0) for t in range(11)) / 11
    levels = [max([p for tp, p in points if tp >= hit], default=0.0) for hit in range(1, count + 1)]
    return sum(levels) / count


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("protocol", ["voc07_11pt", "voc10_area"])
@pytest.mark.parametrize("inclusive", [False, True])
def test_equals_the_protocol_as_loops(seed, protocol, inclusive):
    batches = random_batches(seed, scale=2.0)
    images = list(real_rows(batches))
    aps = {name: plain_class_ap(images, k, protocol, float(inclusive)) for k, name in enumerate(NAMES) if k}
    aps = {f"AP50_{name}": ap for name, ap in aps.items() if ap is not None}
    found = evaluate(voc_ap(NAMES, protocol, inclusive=inclusive), batches)
    assert found == pytest.approx({"AP50": np.mean(list(aps.values()))} | aps, abs=1e-9)
    assert 0.0 < found["AP50"] < 1.0


# Two objects; the best detection hits, the second is wrong, the third hits.
BOXES = [[0, 0, 10, 10], [50, 50, 60, 60], [20, 20, 30, 30]]
OBJECTS = [[0, 0, 10, 10], [20, 20, 30, 30]]


def test_worked_example():
    case = single(BOXES, [0.9, 0.8, 0.7], OBJECTS)
    # precision 1 to recall 0.5 (6 of the 11 points), then 2/3 (5 points)
    assert evaluate(voc_ap(("bg", "x")), [case])["AP50"] == pytest.approx((6 + 5 * 2 / 3) / 11, abs=1e-12)
    assert evaluate(voc_ap(("bg", "x"), "voc10_area"), [case])["AP50"] == pytest.approx((1 + 2 / 3) / 2, abs=1e-12)


def test_a_second_match_is_a_false_positive():
    case = single([[0, 0, 10, 10], [0, 0, 10, 10]], [0.9, 0.8], OBJECTS)
    assert evaluate(voc_ap(("bg", "x"), "voc10_area"), [case])["AP50"] == 0.5
    case = single([[0, 0, 10, 10], [0, 0, 10, 10], [20, 20, 30, 30]], [0.9, 0.8, 0.7], OBJECTS)
    assert evaluate(voc_ap(("bg", "x"), "voc10_area"), [case])["AP50"] == pytest.approx((1 + 2 / 3) / 2, abs=1e-12)


def test_a_detection_stays_with_the_object_it_overlaps_most_though_that_one_is_taken():
    objects = [[0, 0, 10, 10], [0, 0, 10, 14]]
    case = single([[0, 0, 10, 10], [0, 0, 10, 11]], [0.9, 0.8], objects)
    assert evaluate(voc_ap(("bg", "x"), "voc10_area"), [case])["AP50"] == 0.5


def test_difficult_objects_count_neither_way():
    case = single(BOXES, [0.9, 0.8, 0.7], [*OBJECTS, [50, 50, 60, 60]], ignore=[0, 0, 1])
    assert evaluate(voc_ap(("bg", "x")), [case])["AP50"] == 1.0
    missed = single(BOXES[:1], [0.9], OBJECTS, ignore=[0, 1])
    assert evaluate(voc_ap(("bg", "x")), [missed])["AP50"] == 1.0


def test_an_iou_of_exactly_the_threshold_does_not_match():
    half = single([[0, 0, 10, 5]], [0.9], [[0, 0, 10, 10]])
    assert evaluate(voc_ap(("bg", "x")), [half])["AP50"] == 0.0
    assert evaluate(voc_ap(("bg", "x"), inclusive=True), [half])["AP50"] == 1.0  # 66 / 121


@pytest.mark.parametrize(("found", "reached"), [(1, 2), (3, 3), (4, 5), (6, 6), (7, 7), (8, 9), (10, 11)])
def test_a_recall_of_tenths_reaches_the_points_that_it_does_in_the_released_evaluator(found: int, reached: int):
    """3 / 10, 6 / 10 and 7 / 10 lie below 3 × 0.1, 6 × 0.1 and 7 × 0.1 in double precision; the others do not."""
    hits = np.array([True] * found + [False])
    assert eleven_point_ap(hits, 10) == pytest.approx(reached / 11, abs=1e-12)
    assert area_ap(hits, 10) == pytest.approx(found / 10, abs=1e-12)


def released_ap(hits: np.ndarray, objects: int) -> float:
    """The rule as its code states it: from the curve of recall and precision, a sum over eleven levels."""
    tp, fp = np.cumsum(hits), np.cumsum(~hits)
    recall, precision = tp / float(objects), tp / np.maximum(tp + fp, np.finfo(np.float64).eps)
    total = 0.0
    for level in np.arange(0.0, 1.1, 0.1):
        total += (np.max(precision[recall >= level]) if np.sum(recall >= level) else 0.0) / 11.0
    return total


def test_equals_the_released_evaluator_for_every_number_of_objects():
    rng = np.random.default_rng(0)
    for objects in range(1, 61):
        hits = rng.permutation([True] * int(rng.integers(objects + 1)) + [False] * int(rng.integers(30)))
        hits = hits.astype(bool)
        assert abs(eleven_point_ap(hits, objects) - released_ap(hits, objects)) < 1e-15 * 11


def test_equal_scores_go_by_image_id():
    hit, wrong = single(BOXES[:1], [0.5], OBJECTS[:1], image_id=1), single(BOXES[1:2], [0.5], [], image_id=2)
    area = voc_ap(("bg", "x"), "voc10_area")
    assert evaluate(area, [hit, wrong])["AP50"] == evaluate(area, [wrong, hit])["AP50"] == 1.0
    hit, wrong = single(BOXES[:1], [0.5], OBJECTS[:1], image_id=2), single(BOXES[1:2], [0.5], [], image_id=1)
    assert evaluate(area, [hit, wrong])["AP50"] == 0.5


def test_classes_without_objects_have_no_ap_and_those_without_detections_have_zero():
    case = single(BOXES, [0.9, 0.8, 0.7], OBJECTS, labels=[1, 3, 1], true_labels=[1, 2])
    found = evaluate(voc_ap(NAMES, "voc10_area"), [case])
    assert found == {"AP50": 0.5, "AP50_cat": 1.0, "AP50_dog": 0.0}


def test_the_name_says_the_threshold():
    assert "AP75" in evaluate(voc_ap(("bg", "x"), threshold=0.75), [single(BOXES, [0.9, 0.8, 0.7], OBJECTS)])


def test_no_detections_at_all():
    assert evaluate(voc_ap(("bg", "x")), [single([], [], OBJECTS)])["AP50"] == 0.0
