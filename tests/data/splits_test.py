"""Splits that are made, and where they are said to come from."""

import numpy as np
import pytest

from jaxvision.data.image_files import ImageFiles
from jaxvision.data.splits import source_of, whole
from tests.data.numbers import Numbers, labels

NAMES = ("0", "1")


def test_val_is_a_random_tenth_of_train():
    made = source_of({"train": Numbers(100)}, NAMES, origins={"train": "DIR"})
    train, val = labels(made["train"]), labels(made["val"])
    assert sorted(train + val) == list(range(100)) and len(val) == 10
    assert val == labels(source_of({"train": Numbers(100)}, NAMES)["val"])
    assert made.origins == {"train": "DIR, less a random tenth", "val": "a random tenth of DIR"}
    # Sorted by class, the thousand still gives each of ten classes some validation.
    val = labels(source_of({"train": Numbers(1000)}, NAMES)["val"])
    assert np.bincount(np.array(val) // 100, minlength=10).min() >= 4
    assert [len(source_of({"train": Numbers(n)}, NAMES)["val"]) for n in (2, 9, 11)] == [1, 1, 2]
    with pytest.raises(ValueError, match="one record is too few"):
        source_of({"train": Numbers(1)}, NAMES)["val"]


def test_val_is_test_where_there_is_one():
    made = source_of({"train": Numbers(20), "test": Numbers(5)}, NAMES, origins={"test": "test.txt"})
    assert made["val"] is made["test"] and made.origins["val"] == "the test split, test.txt"
    made = source_of({"train": Numbers(20), "test": Numbers(5), "val": Numbers(3)}, NAMES)
    assert len(made["val"]) == 3
    assert len(source_of({"test": Numbers(5)}, NAMES)["val"]) == 5


def test_images_that_are_trained_on_and_evaluated_are_told():
    files = {"train": ImageFiles(("a", "b")), "val": ImageFiles(("b", "c")), "test": ImageFiles(("d",))}
    made = source_of(files, NAMES, origins={"train": "x.json", "val": "y.json", "test": "z.json"})
    assert made.origins == {"train": "x.json", "val": "y.json (1 of its images also in x.json)", "test": "z.json"}


def test_a_set_without_splits_is_all_of_them():
    made = source_of({"all": Numbers(20)}, NAMES)
    assert {name: len(made[name]) for name in made.splits} == {"all": 20, "trainval": 20, "train": 18, "val": 2}
    made = source_of({"all": Numbers(20), "val": Numbers(3)}, NAMES)
    assert len(made["train"]) == 20 and len(made["val"]) == 3


def test_a_set_without_splits_is_evaluated_in_full():
    assert len(whole(source_of({"all": Numbers(20)}, NAMES))["val"]) == 20
    assert len(whole(source_of({"train": Numbers(20)}, NAMES))["val"]) == 20
    assert len(whole(source_of({"train": Numbers(1)}, NAMES))["val"]) == 1
    assert len(whole(source_of({"train": Numbers(20), "val": Numbers(3)}, NAMES))["val"]) == 3
    assert len(whole(source_of({"train": Numbers(20), "test": Numbers(4)}, NAMES))["val"]) == 4
    assert whole(source_of({"train": Numbers(20)}, NAMES, origins={"train": "DIR"})).origins["val"] == "all of DIR"
    tests = whole(source_of({"test": Numbers(4)}, NAMES))
    assert len(tests["val"]) == len(tests["train"]) == 4
