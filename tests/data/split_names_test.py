"""The names of splits and the lists of their images, as tools write them."""

from pathlib import Path

import pytest

from jaxvision.data.split_names import by_split, folders_by_split, read_list, split_of


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("Train", "train"),
        ("training", "train"),
        ("instances_train2017", "train"),
        ("instances_Validation", "val"),
        ("valid", "val"),
        ("Validation", "val"),
        ("val2017", "val"),
        ("testing", "test"),
        ("trainval", "trainval"),
        ("default", "all"),
        ("instances_default", "all"),
        ("trains", None),
        ("control", None),
        ("2017", None),
    ],
)
def test_a_name_stands_for_a_split(name: str, split: str | None):
    assert split_of(name) == split


def test_names_are_sorted_by_split_and_of_several_years_the_last_counts():
    found = by_split(["train2014", "val2017", "train2017", "panoptic"], "annotations")
    assert found == {"train": "train2017", "val": "val2017"}


def test_two_names_of_one_split_are_refused():
    with pytest.raises(ValueError, match="'valid' and 'validation'"):
        by_split(["train", "validation", "valid"], "DIR")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a\nb\n", ["a", "b"]),
        ("\ufeffa\r\nb\r\n\r\n", ["a", "b"]),
        ("a.jpg\nimages/b.png\n", ["a", "b"]),
        ("a  1\nb -1\n", ["a", "b"]),
        ("img 1\nimg\n", ["img 1", "img"]),
        ("img 1.jpg\n", ["img 1"]),
        ("sub/c\nsub/c.jpg\n", ["sub/c", "sub/c"]),
        ("a.b.jpg\na.b\n", ["a.b", "a.b"]),
        ("missing\nalso missing.jpg\n", ["missing", "also missing.jpg"]),
    ],
)
def test_a_list_names_its_images(tmp_path: Path, text: str, names: list[str]):
    (tmp_path / "train.txt").write_bytes(text.encode())
    assert read_list(tmp_path / "train.txt", {"a", "b", "img", "img 1", "sub/c", "a.b"}) == names


def test_folders_of_parts_are_no_splits():
    names = ["train", "Valid", "labels", "annotations", "default"]
    assert folders_by_split(names, "DIR") == {"train": "train", "val": "Valid"}
