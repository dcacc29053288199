import dataclasses

import numpy as np
import pytest

from jaxvision.data import sources
from jaxvision.data.joined import Joined, join
from jaxvision.data.records import Subset


def test_records_stand_one_behind_the_other():
    digits = sources.load("digits:count=20")["train"]
    both = Joined((Subset(digits, np.arange(3)), Subset(digits, np.arange(0)), Subset(digits, np.arange(5, 7))))
    assert [both.name(i) for i in range(len(both))] == [digits.name(i) for i in (0, 1, 2, 5, 6)]
    np.testing.assert_array_equal(both[4]["image"], digits[6]["image"])
    assert both.encoded(3)["label"] == digits[5]["label"] and both.extent(3) == both[3]["image"].shape[1::-1]
    with pytest.raises(IndexError):
        both[5]


def test_splits_are_those_of_any_part():
    one, two = sources.load("scenes:count=8,size=32"), sources.load("scenes:count=4,size=32")
    two = dataclasses.replace(two, splits={**two.splits, "test": two["val"]})
    both = join("a+b", [one, two])
    assert {name: len(records) for name, records in both.splits.items()} == {"train": 12, "val": 3, "test": 1}
    assert both.class_names == one.class_names and both.mean == one.mean
    np.testing.assert_array_equal(both["train"][9]["image"], two["train"][1]["image"])
    with pytest.raises(ValueError, match="^--data=a\\+b: the classes differ"):
        join("a+b", [one, sources.load("digits")])


def test_what_is_told_of_each_set_is_told_of_both():
    one = dataclasses.replace(sources.load("scenes:count=8,size=32"), origins={"train": "a.txt"}, left_out=("a: torn",))
    two = dataclasses.replace(one, origins={"train": "b.txt", "val": "c.txt"}, left_out=("b: torn",))
    both = join("a+b", [one, two])
    assert dict(both.origins) == {"train": "a.txt + b.txt", "val": "? + c.txt"}
    assert both.left_out == ("a: torn", "b: torn")
