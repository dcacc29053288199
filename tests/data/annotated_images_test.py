"""Objects are kept in flat arrays, in whatever order they come."""

import math

import numpy as np
import pytest
from PIL import Image

from jaxvision.data.annotated_images import AnnotationsBuilder


def test_objects_come_back_with_their_image(tmp_path):
    for name in "ab":
        Image.fromarray(np.zeros((10, 20, 3), np.uint8)).save(tmp_path / f"{name}.png")
    builder = AnnotationsBuilder(flags=("crowd", "difficult"))
    first = builder.image(str(tmp_path / "a.png"), 7, 20, 10)
    second = builder.image(str(tmp_path / "b.png"), "x")
    assert builder.object(second, (1, 1, 5, 5), 2, difficult=True) == ""
    assert builder.object(first, (0, 0, 3, 3), 1, area=4.0) == ""
    assert builder.object(second, (-2, 2, 30, 6), 1, crowd=True) == ""
    images = builder.build("DIR", (4, 9))
    assert images.counts().tolist() == [1, 2] and images.ids == (7, "x") and images.labels().tolist() == [1, 2, 1]
    record = images[1]
    assert record["boxes"].tolist() == [[1, 1, 5, 5], [0, 2, 20, 6]] and record["labels"].tolist() == [2, 1]
    assert record["crowd"].tolist() == [False, True] and record["difficult"].tolist() == [True, False]
    assert np.isnan(record["area"]).all() and images[0]["area"].tolist() == [4.0]
    assert images.extent(1) == (20, 10)
    assert images.renamed([0, 5, 6])[1]["labels"].tolist() == [6, 5]


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ((1, 2, 3), "has not four numbers"),
        ((1, 2, "x", 4), "is not made of numbers"),
        ((1, 2, math.inf, 4), "is not finite"),
        ((1, 2, 1, 4), "has no area"),
        ((0.1, 0.2, 0.3, 0.4), "lies within 0..1"),
    ],
)
def test_a_box_that_cannot_be_used_is_refused_with_the_reason(box, reason):
    builder = AnnotationsBuilder()
    image = builder.image("a.png")
    assert reason in builder.object(image, box, 1)
    assert len(builder.build("x").labels()) == 0 if "0..1" not in reason else True


def test_a_set_of_fractions_is_refused():
    builder = AnnotationsBuilder()
    image = builder.image("a.png")
    builder.object(image, (0.1, 0.1, 0.4, 0.5), 1)
    with pytest.raises(ValueError, match="a.json: every box lies within 0..1: are these fractions"):
        builder.build("a.json")
    builder.object(image, (1, 1, 4, 5), 1)
    assert builder.build("a.json").counts().tolist() == [1]


def test_an_image_whose_annotation_cannot_be_read_raises_the_reason():
    builder = AnnotationsBuilder()
    builder.image("a.png", "a", 4, 3)
    builder.unreadable("b.png", "b", "b.xml: torn")
    images = builder.build("DIR")
    assert len(images) == 2 and images.name(1) == "b.png" and builder.left_out == ["b.xml: torn"]
    assert images.extent(0) == (4, 3)
    for read in (images.encoded, images.extent):
        with pytest.raises(ValueError, match=r"^b.xml: torn$"):
            read(1)
