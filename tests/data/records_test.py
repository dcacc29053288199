import dataclasses
import pickle
import re

import numpy as np
import pytest

from jaxvision.data import digits, records, scenes
from jaxvision.data.records import Source, has_classes
from tests.data.numbers import Numbers, labels

SOURCE = Source({"train": Numbers(205), "val": Numbers(10)}, ("a", "b"))


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ("train", range(205)),
        (" val ", range(10)),
        ("train[:]", range(205)),
        ("train[:90%]", range(185)),
        ("train[90%:]", range(185, 205)),
        ("train[100:200]", range(100, 200)),
        ("train[:7]", range(7)),
        ("train[-5:]", range(200, 205)),
        ("train[-10%:]", range(185, 205)),
        ("train[10%:20]", None),
        ("val[0:1]", range(1)),
        ("val[:256]", range(10)),
        ("train[200:1024]", range(200, 205)),
    ],
)
def test_splits_are_slices(split, expected):
    if expected is None:  # 10 % of 205 is 21 and so past 20
        with pytest.raises(ValueError, match="empty"):
            SOURCE[split]
    else:
        assert labels(SOURCE[split]) == list(expected)


def test_a_slice_that_ends_beyond_the_last_record_is_told_once(monkeypatch):
    lines = []
    monkeypatch.setattr(records.logging, "warning", lambda text, *values: lines.append(text % values))
    source = Source({"val": Numbers(11)}, ())
    assert [len(source[split]) for split in ("val[:256]", "val[:256]", "val[:12]", "val[:11]")] == [11] * 4
    assert lines == [
        f"split '{split}': the whole split has 11 records, so the slice ends with the last of them"
        for split in ("val[:256]", "val[:12]")
    ]


def test_names_follow_the_slice_and_slices_can_be_pickled():
    part = pickle.loads(pickle.dumps(SOURCE["train[100:103]"]))
    assert [part.name(i) for i in range(3)] == ["numbers/100", "numbers/101", "numbers/102"]
    assert records.fetch(part, 1, encoded=True) == records.fetch(part, 1) == {"label": 101}


@pytest.mark.parametrize("length", [1, 2, 7, 64, 337])
def test_percentages_tile_any_length(length):
    source = Source({"train": Numbers(length)}, ())
    for cut in range(1, 100):
        parts = []
        for split in (f"train[:{cut}%]", f"train[{cut}%:]"):
            try:
                parts += labels(source[split])
            except ValueError as error:
                assert "empty" in str(error)
        assert parts == list(range(length))


@pytest.mark.parametrize(
    "split",
    ["", "test", "train[", "train[]", "train[5]", "train[1:2:3]", "train[a:b]", "train[:101%]", "train[206:]",
     "train[5:5]", "train[9:3]", "train[-206:]", "train+val", "train[1.5%:]", "train[:90 %]", "train[%:]", "[1:2]",
     "train[:9%%]"],
)  # fmt: skip
def test_bad_splits_are_one_line(split):
    with pytest.raises(ValueError, match=f"^split {re.escape(repr(split))}: [^\n]+$"):
        SOURCE[split]


def test_random_split_texts_never_fail_otherwise():
    rng = np.random.default_rng(0)
    for _ in range(2000):
        split = "train[" + "".join(rng.choice(list("0159%:-[] x"), rng.integers(0, 8))) + "]"
        try:
            part = SOURCE[split]
        except ValueError as error:
            assert "\n" not in str(error)
        else:
            assert 0 < len(part) <= 205
            labels(part)


def test_a_source_counts_its_classes():
    assert SOURCE.num_classes == 2
    assert records.label_names(3) == ("0", "1", "2")


@dataclasses.dataclass(frozen=True)
class Pictures(Numbers):
    """Records with an image as wide as their index."""

    def __getitem__(self, index: int) -> dict:
        return {"image": np.zeros((3, index, 3), np.uint8)}


@dataclasses.dataclass(frozen=True)
class Measured(Pictures):
    """Records that know their size, which their image need not be read for."""

    def __getitem__(self, index: int) -> dict:
        raise ValueError("not to be read")

    def extent(self, index: int) -> tuple[int, int]:
        return index, 3


def test_the_extent_is_known_or_read_also_through_a_slice():
    for parent in (Pictures(9), Measured(9)):
        part = Source({"train": parent}, ("a",))["train[4:]"]
        assert records.extent(parent, 5) == (5, 3) and records.extent(part, 2) == (6, 3)


@pytest.mark.parametrize(("count", "most", "expected"), [(5, 3, [0, 2, 4]), (3, 5, [0, 1, 2]), (1, 4, [0])])
def test_records_are_chosen_evenly_and_none_twice(count: int, most: int, expected: list[int]):
    assert labels(records.evenly(Numbers(count), most)) == expected


def test_images_of_several_classes_have_classes():
    source = digits.load("digits:count=8")
    assert has_classes(source)
    assert not has_classes(dataclasses.replace(source, class_names=("all",)))
    scenes_of_objects = scenes.load("scenes:count=4,size=32")
    assert scenes_of_objects.num_classes > 1 and not has_classes(scenes_of_objects), "objects have classes, images none"
