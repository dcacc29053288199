import io

import numpy as np
import pytest
from PIL import Image

from jaxvision.data import decode, objects
from jaxvision.data.outlines import Outlines, Polygons
from jaxvision.data.records import NOTE


def encoded(width: int, height: int) -> decode.Encoded:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(buffer, "png")
    return decode.Encoded(buffer.getvalue(), "a.png")


def test_boxes_are_clipped_and_those_without_area_found():
    nan, inf = float("nan"), float("inf")
    rows = [[-2, 1, 4, 99], [3, 3, 3, 5], [5, 1, 2, 4], [8, 0, 9, 1], [nan, 0, 1, 1], [-inf, 0, inf, 1], [-5, 0, 0, 4]]
    clipped, kept = objects.inside(np.array(rows, np.float32), 8, 6)
    assert kept.tolist() == [True, False, False, False, False, True, False]
    assert clipped[kept].tolist() == [[0, 1, 4, 6], [0, 0, 8, 1]]
    assert objects.inside(np.zeros((0, 4), np.float32), 8, 6)[1].shape == (0,)


def test_what_belongs_to_a_dropped_box_goes_with_it():
    square = np.array([[0, 0], [2, 0], [2, 2], [0, 2]], np.float32)
    masks = Outlines((None, Polygons((square,)), None), 8, 6)
    boxes = np.array([[1, 1, 1, 2], [0, 0, 2, 2], [0, 0, 9, 9]], np.float32)
    flags = {"crowd": np.array([True, False, True])}
    record = objects.annotated(encoded(8, 6), boxes, np.arange(1, 4, dtype=np.int32), flags, masks)
    assert record["labels"].tolist() == [2, 3] and record["crowd"].tolist() == [False, True]
    assert record["masks"].known.tolist() == [True, False]
    assert record[NOTE] == "dropped 1 of 3 boxes, without area inside the image: object 1 (1 1 1 2)"
    arrays = objects.decoded(record)
    assert arrays["masks"].shape == (2, 6, 8) and arrays["masks"].sum() == 4 and arrays["image"].shape == (6, 8, 3)


def test_an_image_of_another_size_than_annotated_is_refused():
    objects.check_extent("a.png", encoded(8, 6), 8, 6)
    with pytest.raises(ValueError, match="^a.png: annotated as 9x6, but it is 8x6$"):
        objects.check_extent("a.png", encoded(8, 6), 9, 6)
    with pytest.raises(ValueError, match="EXIF orientation"):
        objects.check_extent("a.png", encoded(8, 6), 6, 8)
