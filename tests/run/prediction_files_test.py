"""Predictions as JSON, CSV and COCO's results."""

import csv
import io
import json
from pathlib import Path

import pytest

from jaxvision.run import prediction_files as files

DETECTED = {
    "file": "b.jpg",
    "height": 9,
    "width": 8,
    "annotations": [
        {"category_id": 2, "category_name": "dog", "bbox": [1.0, 2.0, 3.0, 4.0], "area": 12.0, "score": 0.75},
        {"category_id": 1, "category_name": "cat, wild", "bbox": [0, 0, 1, 1], "area": 1.0, "score": 0.9},
    ],
}
CLASSIFIED = {"file": "a.jpg", "label": "cat", "probabilities": {"cat": 0.75, "dog": 0.25}}
SEGMENTED = {"file": "c.jpg", "fractions": {"sky": 0.5, "road": 0.5}}
ANSWERED = {"file": "d.jpg", "pretext_accuracy": 0.5}


@pytest.mark.parametrize(
    ("said", "columns", "row"),
    [
        (DETECTED, "file,class,score,x,y,width,height", ["b.jpg", "cat, wild", "0.9", "0", "0", "1", "1"]),
        (CLASSIFIED, "file,class,probability", ["a.jpg", "dog", "0.25"]),
        (SEGMENTED, "file,class,fraction", ["c.jpg", "road", "0.5"]),
        (ANSWERED, "file,pretext_accuracy", ["d.jpg", "0.5"]),
    ],
)
def test_each_kind_has_its_table(said: dict, columns: str, row: list[str]):
    head, *rows = csv.reader(io.StringIO(files.as_csv([said])))
    assert head == columns.split(",") and rows[-1] == row


def test_the_best_class_is_first():
    assert files.classes(DETECTED) == [("cat, wild", 0.9), ("dog", 0.75)]
    assert files.classes(CLASSIFIED)[0] == ("cat", 0.75) and files.classes(ANSWERED) == []
    assert files.as_csv([]) == "file\n"


def test_detectors_have_a_results_list_beside_the_document(tmp_path: Path):
    document = {"images": [{"id": 1, "file_name": "b.jpg"}], "annotations": []}
    document["annotations"] = [{"id": 7, "image_id": 1, **one, "iscrowd": 0} for one in DETECTED["annotations"]]
    assert files.write(tmp_path, [DETECTED], document) == ["predictions.json", "predictions.csv", "coco_results.json"]
    first = json.loads((tmp_path / "coco_results.json").read_text())[0]
    assert first == {"image_id": 1, "category_id": 2, "bbox": [1.0, 2.0, 3.0, 4.0], "score": 0.75}
    assert json.loads((tmp_path / "predictions.json").read_text()) == document
    assert len(files.write(tmp_path, [CLASSIFIED], [CLASSIFIED])) == 2


def test_no_two_files_share_a_stem():
    names = ["x/cat.jpg", "y/cat.png", "dog.jpg", "cat-1.jpg", "z/CAT.jpg"]
    stems = files.unique_stems(names)
    assert stems == ["cat-0", "cat-2", "dog", "cat-1", "CAT-4"]
    assert len({stem.lower() for stem in stems}) == len(names)
