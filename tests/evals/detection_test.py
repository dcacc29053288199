import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.evals import detection
from jaxvision.evals.coco_ap import coco_ap
from jaxvision.evals.proposal_recall import proposal_recall
from jaxvision.evals.voc_ap import voc_ap
from jaxvision.ops import boxes as box_ops
from tests.evals.detection_cases import NAMES, evaluate, random_batches, random_boxes, single

METRICS = {"voc_ap": voc_ap(NAMES), "coco_ap": coco_ap(NAMES, masks=True), "proposal_recall": proposal_recall((5, 10))}


def with_proposals(batches):
    names = {"proposals": "boxes", "proposal_scores": "scores", "proposal_valid": "valid"}
    return [({**o, **{new: o[old] for new, old in names.items()}}, b) for o, b in batches]


def test_iou_equals_that_of_the_ops():
    rng = np.random.default_rng(0)
    a, b = random_boxes(rng, (20,)), random_boxes(rng, (15,))
    a[0], b[0] = 5.0, 5.0  # without area
    expected = box_ops.iou(jnp.array(a, jnp.float32), jnp.array(b, jnp.float32))
    np.testing.assert_allclose(detection.iou(a, b), expected, atol=1e-6)


def test_read_gives_original_pixels_without_padding():
    outputs, batch = random_batches(0, scale=2.0)[-1]
    first, *others = detection.read(outputs, batch, len(NAMES))
    assert len(others) == 1
    assert first.shape == (150, 190)
    np.testing.assert_array_equal(first.boxes, outputs["boxes"][0][outputs["valid"][0]] / 2)
    np.testing.assert_array_equal(first.true_labels, batch["labels"][0][batch["valid"][0]])
    np.testing.assert_array_equal(first.true_areas, np.prod(first.true_boxes[:, 2:] - first.true_boxes[:, :2], axis=1))
    area = np.ones(batch["valid"].shape)
    np.testing.assert_array_equal(detection.read(outputs, {**batch, "area": area}, len(NAMES))[0].true_areas, 1.0)
    unknown = detection.read(outputs, {**batch, "area": area * np.nan}, len(NAMES))[0]
    np.testing.assert_array_equal(unknown.true_areas, first.true_areas)


def test_height_and_width_may_be_scaled_by_different_factors():
    outputs, batch = single([[10, 10, 30, 40]], [0.9], [[10, 10, 30, 40]])
    (record,) = detection.read(outputs, {**batch, "scale": np.array([[0.5, 2.0]])}, classes=2)
    assert record.shape == (200, 50)
    assert record.boxes.tolist() == record.true_boxes.tolist() == [[5.0, 20.0, 15.0, 80.0]]


def test_claims_are_by_score_and_once_an_object():
    boxes = [[0, 0, 10, 10], [0, 0, 10, 10], [20, 20, 30, 30], [50, 50, 60, 60]]
    case = single(boxes, [0.5, 0.9, 0.7, 0.8], [[50, 50, 60, 60], [0, 0, 10, 10]], labels=[1, 1, 1, 2])
    claim = detection.claims(detection.read(*case, classes=3)[0], 0.5)
    assert claim.detections.tolist() == [1, 3, 2, 0]
    assert claim.first.tolist() == [True, False, False, False]
    assert claim.matched.tolist() == [True, False, False, True]
    assert claim.objects.tolist()[:2] == [1, -1]  # of the other class there is no object
    assert claim.iou.tolist() == [1.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize("name", METRICS)
def test_batches_padding_and_processes_change_nothing(name):
    metric, batches = METRICS[name], with_proposals(random_batches(1, scale=1.5))
    expected = evaluate(metric, batches)
    states = [metric.update(metric.init(), *case) for case in batches]
    assert metric.result(metric.merge(states[2], metric.merge(states[0], states[1]))) == expected
    for outputs, batch in batches:
        padding = ~batch["_mask"]
        outputs["boxes"][padding], batch["labels"][padding], batch["image_id"][padding] = np.nan, 99, 0
    assert evaluate(metric, batches) == expected


@pytest.mark.parametrize("name", METRICS)
def test_no_and_repeated_images_are_errors_and_without_objects_nothing_is_defined(name):
    metric, batches = METRICS[name], with_proposals(random_batches(2))
    with pytest.raises(ValueError, match=f"{name}: .*no images"):
        metric.result(metric.init())
    state = metric.update(metric.init(), *batches[0])
    with pytest.raises(ValueError, match="image_id 0 came 2 times"):
        metric.result(state + state)
    outputs, batch = batches[0]
    assert evaluate(metric, [(outputs, {**batch, "valid": np.zeros_like(batch["valid"])})]) == {}


def test_labels_beyond_the_class_names_are_errors():
    with pytest.raises(ValueError, match="image_id 0: detection of label 4, but labels go from 1 to 3"):
        detection.read(*single([[0, 0, 1, 1]], [0.5], [[0, 0, 1, 1]], labels=[4]), classes=4)
    with pytest.raises(ValueError, match="object of label 0"):
        detection.read(*single([[0, 0, 1, 1]], [0.5], [[0, 0, 1, 1]], true_labels=[0]), classes=4)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_detections_that_are_not_finite_are_errors(bad):
    with pytest.raises(ValueError, match="not finite"):
        detection.read(*single([[0, 0, 1, bad]], [0.5], [[0, 0, 1, 1]]), classes=2)
    with pytest.raises(ValueError, match="not finite"):
        detection.read(*single([[0, 0, 1, 1]], [bad], [[0, 0, 1, 1]]), classes=2)
