"""The metric of the flag `--protocol`, and what predictions are drawn and written."""

import json

import numpy as np

from jaxvision.data.annotated_images import AnnotationsBuilder
from jaxvision.data.inputs import Inputs
from jaxvision.recipes.detection_outputs import (
    SHOWN,
    average_precision,
    draw,
    file_names,
    on_photo,
    presentation,
    results_file,
    unmoved,
)
from jaxvision.train.types import Shown

NAMES = ("background", "cat", "dog")


def batch_of(rows: int = 1) -> dict:
    return {
        "image": np.zeros((rows, 64, 64, 3), np.uint8),
        "size": np.tile(np.array([[64, 64]], np.float32), (rows, 1)),
        "scale": np.ones((rows, 2), np.float32),
        "_mask": np.ones(rows, bool),
    }


def outputs_of(rows: int = 1, score: float = 0.6) -> dict:
    return {
        "boxes": np.tile(np.array([[[10, 10, 40, 40]]], np.float32), (rows, 1, 1)),
        "scores": np.full((rows, 1), score, np.float32),
        "labels": np.ones((rows, 1), np.int32),
        "valid": np.ones((rows, 1), bool),
    }


def objects_of() -> dict:
    boxes, one = outputs_of()["boxes"], np.ones((1, 1), bool)
    objects = {"boxes": boxes, "labels": np.ones((1, 1), np.int32), "valid": one, "ignore": ~one}
    return {**batch_of(), **objects, "area": np.full((1, 1), 900.0), "image_id": np.zeros(1, np.int64)}


def test_results_are_listed_where_a_trained_network_meets_a_set_with_ids():
    builder = AnnotationsBuilder()
    builder.image("a.png", 31)
    records = builder.build("here", (90, 3))
    (metric,) = results_file(Inputs(training=False), records)
    (one,) = json.loads(metric.result(metric.update(metric.init(), outputs_of(), objects_of()))["results.json"])
    assert (one["image_id"], one["category_id"], one["bbox"]) == (31, 90, [10, 10, 30, 30])
    assert results_file(Inputs(), records) == results_file(Inputs(training=False), builder.build("here")) == ()


def test_each_protocol_has_its_metric():
    for protocol, key in (("coco", "AP"), ("voc07_11pt", "AP50_cat"), ("voc10_area", "AP50_cat")):
        metric = average_precision(NAMES, protocol)
        found = metric.result(metric.update(metric.init(), outputs_of(), objects_of()))
        assert found["AP50"] == 1.0 and key in found


def test_boxes_without_regression_have_average_precisions_of_their_own():
    metric, far = unmoved(average_precision(NAMES, "coco")), outputs_of()
    far["boxes"] = far["boxes"] + 20
    found = metric.result(metric.update(metric.init(), {**outputs_of(), "unmoved": far}, objects_of()))
    assert set(found) == {"AP_unmoved", "AP50_unmoved"} and found["AP50_unmoved"] == 0.0


def test_detections_below_the_score_are_not_drawn():
    drawn = [draw(outputs_of(), batch_of(), class_names=NAMES, min_score=least) for least in (0.5, 0.7)]
    assert drawn[0].any() and not np.array_equal(drawn[0], drawn[1])


def test_a_picture_has_a_limited_number_of_images():
    few, many = (draw(outputs_of(n), batch_of(n), class_names=NAMES) for n in (SHOWN, SHOWN + 3))
    np.testing.assert_array_equal(few, many)


def test_predictions_are_cocos_document_and_a_picture():
    read = lambda records: None  # noqa: E731
    shown = presentation(NAMES, read, min_score=0.5)  # type: ignore[arg-type]
    assert shown.data is read
    assert shown.draw(outputs_of(), objects_of()).dtype == np.uint8


def test_detections_are_drawn_over_the_photo_at_its_own_size():
    """The canvas is half the size of the photo; boxes and masks lie where they are in the photo."""
    photo, batch = np.zeros((128, 120, 3), np.uint8), {**batch_of(), "scale": np.full((1, 2), 0.5, np.float32)}
    drawn = on_photo(photo, outputs_of(), batch, 0, Shown(), class_names=NAMES)
    assert drawn.shape == photo.shape
    rows, columns = (np.flatnonzero(drawn[:, :, 0].max(axis=axis) > 200) for axis in (1, 0))
    assert abs(rows[-1] - 79) <= 1 and abs(columns[0] - 20) <= 1 and abs(columns[-1] - 79) <= 12
    masked = {**outputs_of(), "masks": np.ones((1, 1, 14, 14), np.float32)}
    assert on_photo(photo, masked, batch, 0, Shown(), class_names=NAMES)[50, 50].any() and not drawn[50, 50].any()


def test_how_much_is_drawn_is_the_users_choice():
    photo, batch = np.zeros((64, 64, 3), np.uint8), batch_of()
    two = {name: np.concatenate([value, value], axis=1) for name, value in outputs_of(score=0.4).items()}
    two["boxes"][0, 1], two["scores"][0, 1] = (45, 45, 60, 60), 0.9
    nothing, best, both = (
        on_photo(photo, two, batch, 0, shown, class_names=NAMES) for shown in (Shown(0.95), Shown(0.1, 1), Shown(0.1))
    )
    assert not nothing.any() and best[45:60, 45:60].any() and not best[12:24, 10].any() and both[12:24, 10].any()


def test_annotations_have_the_names_of_classes_and_images_their_files():
    shown = presentation(NAMES, lambda records: None)  # type: ignore[arg-type,return-value]
    (one,) = shown.describe(outputs_of(), batch_of(), 0)["annotations"]
    assert one["category_name"] == "cat" and one["category_id"] == 1
    builder = AnnotationsBuilder()
    builder.image("folder/a.png", 31)
    assert file_names(builder.build("here"))(0) == "a.png"
