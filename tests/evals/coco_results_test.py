import json

import numpy as np
from faster_coco_eval import COCO

from jaxvision.evals.coco_results import document, image_results


def outputs(masks: bool) -> dict:
    found = {
        "boxes": np.array([[[20, 10, 60, 30], [0, 0, 8, 8]]], np.float32),
        "scores": np.array([[0.9, 0.2]], np.float32),
        "labels": np.array([[2, 0]], np.int32),
        "valid": np.array([[True, False]]),
    }
    return found | ({"masks": np.ones((1, 2, 4, 4), np.float32)} if masks else {})


BATCH = {"size": np.array([[50, 100]], np.float32), "scale": np.array([[0.5, 2.0]], np.float32)}


def test_in_pixels_of_the_original():
    said = image_results(outputs(False), BATCH, 0)
    assert (said["height"], said["width"]) == (100, 50)
    (one,) = said["annotations"]
    assert one["bbox"] == [10, 20, 20, 40] and one["area"] == 800 and one["category_id"] == 2
    assert "segmentation" not in one


def test_the_document_is_cocos():
    said = [{"file": name, **image_results(outputs(True), BATCH, 0)} for name in ("a.jpg", "b.jpg")]
    made = json.loads(json.dumps(document(("background", "cat", "dog"), said)))
    assert [i["file_name"] for i in made["images"]] == ["a.jpg", "b.jpg"]
    assert made["categories"] == [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    read = COCO(made)
    mask = read.annToMask(made["annotations"][1])
    assert mask.shape == (100, 50) and made["annotations"][1]["image_id"] == 2
    expected = np.zeros((100, 50))
    expected[20:60, 10:30] = 1
    assert made["annotations"][1]["area"] == mask.sum()
    assert np.abs(mask - expected).sum() <= 16  # pasted bilinearly: the corners are a little round
