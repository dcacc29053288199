import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from faster_coco_eval import COCO
from PIL import Image

from jaxvision.data import coco
from jaxvision.data.original_ids import original_ids
from jaxvision.evals.coco_ap import coco_ap
from jaxvision.evals.coco_results import document, image_results, results_list


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


CATEGORIES = [{"id": 90, "name": "dog"}, {"id": 3, "name": "cat"}]  # labels 2 and 1


def users_set(folder: Path) -> dict:
    """A set with ids in no order, three objects in each of two images."""
    boxes = [[2.0, 3.0, 12.0, 8.0], [20.0, 4.0, 9.0, 20.0], [5.0, 14.0, 10.0, 10.0]]
    things = [
        {"image_id": image, "category_id": category, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
        for image in (702, 11)
        for category, box in zip((90, 3, 90), boxes, strict=True)
    ]
    images = [{"id": number, "file_name": f"{number}.png", "width": 40, "height": 30} for number in (702, 11)]
    for number in (702, 11):
        Image.new("RGB", (40, 30)).save(folder / f"{number}.png")
    annotations = [{"id": i, **thing} for i, thing in enumerate(things, 1)]
    content = {"images": images, "annotations": annotations, "categories": CATEGORIES}
    (folder / "users.json").write_text(json.dumps(content))
    return content


def seen(folder: Path) -> tuple[dict, dict, tuple[str, ...], tuple]:
    """Detections of that set, some wrong, at half the scale, with the batch; the classes and the ids."""
    source = coco.load(f"coco:{folder}")
    records = source["trainval"]
    boxes = np.stack([records[i]["boxes"] for i in range(2)]) / 2
    labels = np.stack([records[i]["labels"] for i in range(2)])
    there = np.ones((2, 3), bool)
    batch = {"boxes": boxes, "labels": labels, "valid": there, "ignore": ~there, "image_id": np.arange(2)}
    batch |= {"_mask": np.array([True, True]), "size": np.full((2, 2), (15, 20)), "scale": np.full((2, 2), 0.5)}
    moved = boxes + np.float32([0.4, 0, 0.4, 0])
    scores = np.array([[0.9, 0.8, 0.7], [0.6, 0.5, 0.4]], np.float32)
    outputs = {"boxes": moved, "labels": np.array([[2, 1, 1], [2, 2, 2]]), "scores": scores, "valid": there}
    ids = original_ids(records)
    assert ids is not None
    return outputs, batch, source.class_names, ids


def test_the_results_list_has_the_users_ids(tmp_path):
    content = users_set(tmp_path)
    outputs, batch, _, ids = seen(tmp_path)
    metric = results_list(*ids)
    last = {**batch, "_mask": np.array([False, True])}
    state = metric.update(metric.init(), outputs, last) + metric.update([], outputs, {**batch, "_mask": ~last["_mask"]})
    listed = json.loads(metric.result(state)["results.json"])
    assert [(r["image_id"], r["category_id"]) for r in listed] == [
        *((702, 90), (702, 3), (702, 3)),
        *((11, 90), (11, 90), (11, 90)),
    ]
    assert listed[0]["bbox"] == [2.8, 3, 12, 8] and abs(listed[0]["score"] - 0.9) < 1e-5
    truth = COCO(content)
    assert sorted(truth.loadRes(listed).getImgIds()) == [11, 702]
    assert metric.result(metric.init())["results.json"] == "[]\n"
    without_dogs = results_list(ids.images, (3, -1))
    listed = json.loads(without_dogs.result(without_dogs.update([], outputs, batch))["results.json"])
    assert [(r["image_id"], r["category_id"]) for r in listed] == [(702, 3), (702, 3)]


@pytest.mark.peer
def test_pycocotools_reads_it_and_finds_the_same_precision(tmp_path):
    peer, cocoeval = pytest.importorskip("pycocotools.coco"), importlib.import_module("pycocotools.cocoeval")
    users_set(tmp_path)
    outputs, batch, class_names, ids = seen(tmp_path)
    metric, measured = results_list(*ids), coco_ap(class_names)
    (tmp_path / "results.json").write_text(metric.result(metric.update([], outputs, batch))["results.json"])
    truth = peer.COCO(str(tmp_path / "users.json"))
    evaluator = cocoeval.COCOeval(truth, truth.loadRes(str(tmp_path / "results.json")), "bbox")
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    ours = measured.result(measured.update(measured.init(), outputs, batch))
    assert 0 < ours["AP"] < 1
    assert np.allclose([ours["AP"], ours["AP50"]], evaluator.stats[:2], atol=1e-6)
