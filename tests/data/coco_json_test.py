"""The values that tools write where COCO has numbers."""

import math

import msgspec
import pytest

from jaxvision import foreign
from jaxvision.data import coco_json


@pytest.mark.parametrize(
    ("value", "found"),
    [(7, 7), ("7", 7), (" 10 ", 10), (7.0, 7), ("a7", "a7"), ("", None), (None, None), (True, None), (7.5, None)],
)
def test_ids(value, found):
    assert coco_json.identity(value) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (0, False),
        (1, True),
        ("0", False),
        ("1", True),
        ("false", False),
        (None, False),
        (0.0, False),
        (math.nan, False),
    ],
)
def test_flags(value, found):
    assert coco_json.truth(value) is found


@pytest.mark.parametrize(
    ("value", "found"), [(40, 40), (40.0, 40), ("40", 40), (None, 0), (-1, 0), (0, 0), ("x", 0), (math.inf, 0), ([], 0)]
)
def test_sides(value, found):
    assert coco_json.side(value) == found


def test_areas():
    assert coco_json.number(3) == 3.0
    assert all(math.isnan(coco_json.number(value)) for value in (None, "3", -1, math.nan, True))


def test_annotations_stay_undecoded_until_they_are_asked_for(tmp_path):
    file = tmp_path / "a.json"
    file.write_text('\ufeff{"info": {}, "images": [{"id": 1}], "annotations": [{"id": 2}, 5], "categories": []}')
    parts = coco_json.sections(file)
    assert all(isinstance(item, msgspec.Raw) for item in parts.annotations)
    assert list(coco_json.items(parts.annotations)) == [{"id": 2}, {}]


def test_python_writes_nan(tmp_path):
    file = tmp_path / "a.json"
    file.write_text('{"images": [{"id": NaN}], "categories": null}')
    parts = coco_json.sections(file)
    assert math.isnan(next(coco_json.items(parts.images))["id"]) and parts.categories == []


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ('{"_via_settings": {}, "_via_img_metadata": {}}', "VGG Image Annotator, which exports COCO's"),
        (
            '{"a.jpg123": {"filename": "a.jpg", "size": 123, "regions": []}}',
            "VGG Image Annotator, which exports COCO's",
        ),
        (
            '{"version": "5.4", "shapes": [], "imagePath": "a.jpg"}',
            "it is labelme's, one file an image: --data=labelme:DIR",
        ),
        ('{"a": 1}', "it has no list of images$"),
        ("[]", "it has no list of images$"),
    ],
)
def test_json_of_other_tools_is_refused_with_the_remedy(tmp_path, text, remedy):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=f"^{tmp_path}/a.json: not COCO's format: [^\n]*{remedy}"):
        coco_json.sections(tmp_path / "a.json")


def test_annotations_of_a_whole_set_may_be_large(tmp_path):
    file = tmp_path / "instances_train.json"
    file.write_bytes(b'{"images": [], "annotations": [1], "categories": []}' + b" " * foreign.TEXT)
    assert len(coco_json.sections(file).annotations) == 1
