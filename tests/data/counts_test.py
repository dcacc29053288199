"""Counts of a split, from a reader's arrays and from records that are read."""

from pathlib import Path

import numpy as np
from PIL import Image

from jaxvision.data import digits, scenes, sources
from jaxvision.data.annotated_images import AnnotatedImages, AnnotationsBuilder
from jaxvision.data.classes import Renumbered
from jaxvision.data.counts import count
from jaxvision.data.folder import LabelledFiles
from jaxvision.data.joined import Joined
from jaxvision.data.records import Record, Subset


def annotated() -> AnnotatedImages:
    """Three images that are not read: one small object, none, and a medium and a large one."""
    builder = AnnotationsBuilder()
    for i in range(3):
        builder.image(f"{i}.jpg", i, 400, 300 + i)
    assert not builder.object(0, (0, 0, 31, 31), 1)
    assert not builder.object(2, (0, 0, 200, 200), 2, area=95.0 * 95.0)  # as the set states it, and not the box
    assert not builder.object(2, (0, 0, 96, 96), 2)
    return builder.build("here")


def test_objects_that_the_reader_holds():
    found = count(annotated(), 4)
    assert (found.images, found.read, found.unit, found.empty) == (3, 3, "objects", 1)
    assert found.classes.tolist() == [0, 1, 2, 0]
    assert found.areas == (1, 1, 1)
    assert found.sizes.tolist() == [[400, 300], [400, 301], [400, 302]]


def test_objects_of_a_part_and_of_joined_sets():
    part = count(Subset(annotated(), np.array([2, 1])), 3)
    assert part.classes.tolist() == [0, 0, 2] and part.areas == (0, 1, 1) and part.empty == 1
    both = count(Joined((annotated(), Subset(annotated(), np.array([0])))), 3)
    assert both.classes.tolist() == [0, 2, 2] and both.images == 4


def test_labels_are_counted_without_reading(tmp_path: Path):
    Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    files = LabelledFiles((str(tmp_path / "a.png"), str(tmp_path / "missing.png")), np.array([0, 2], np.int32))
    found = count(Subset(Renumbered(files, (3, 1, 1)), np.array([0, 1, 1])), 4)
    assert found.classes.tolist() == [0, 2, 0, 1] and found.unit == "images" and found.read == 3
    assert found.sizes.tolist() == [[30, 20]]
    assert found.unreadable and "missing.png" in found.unreadable[0]


def test_digits():
    records = digits.digits("val")
    found = count(records, 10)
    assert found.classes.sum() == len(records) == found.images
    assert found.classes.tolist() == np.bincount(records.labels).tolist()


def test_points_have_labels_and_no_sizes():
    found = count(sources.load("mixture:count=16", "labels").splits["train"], 8)
    assert found.classes.sum() == found.read == 16 and found.sizes.shape == (0, 2) and not found.unreadable


def test_records_are_read_where_nothing_is_held():
    records = scenes.load("scenes:count=6,size=64,objects=3")["train"]
    found = count(records, 11, most=4)
    assert found.images == 6 and found.read == 4 and found.unit == "objects"
    assert found.classes.sum() == sum(found.areas) > 0
    pixels = count(records, 11, pixels=True)
    assert pixels.unit == "pixels" and pixels.classes.sum() == 6 * 64 * 64


def test_it_stops_when_its_time_is_over():
    records = scenes.load("scenes:count=6,size=64")["train"]
    assert count(records, 11, seconds=0.0).read == 1


class Broken:
    """Records of which the second cannot be read."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Record:
        if index:
            raise ValueError("b.png: torn")
        return {"image": np.zeros((5, 7, 3), np.uint8)}

    def name(self, index: int) -> str:
        return "ab"[index]


def test_what_cannot_be_read_is_named():
    found = count(Broken(), 2)
    assert found.unreadable == ("b.png: torn",) and found.read == 1 and found.images == 2
    assert found.classes.tolist() == [0, 0] and found.sizes.tolist() == [[7, 5]]
