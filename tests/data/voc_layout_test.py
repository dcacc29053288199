"""Folders of VOC's layout are found in any case, and files by their names."""

import pytest

from jaxvision.data import voc_layout


def test_folders_are_found_in_any_case(tmp_path):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "Images").mkdir()
    assert voc_layout.child(tmp_path, "Annotations") == tmp_path / "annotations"
    assert voc_layout.child(tmp_path, *voc_layout.IMAGES) == tmp_path / "Images"
    assert voc_layout.child(tmp_path, "none") is None and voc_layout.child(tmp_path / "none", "x") is None
    assert voc_layout.year_of("voc:x", tmp_path, "Annotations") == tmp_path
    assert voc_layout.year_of("voc:x", tmp_path, "SegmentationClass") is None


def test_files_are_named_without_extension(tmp_path):
    for name in ("a.png", "a.JPG", "b.xml", ".c.png", "sub/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = voc_layout.named_files(tmp_path)
    assert found == {
        "a": [str(tmp_path / "a.JPG"), str(tmp_path / "a.png")],
        "sub/a": [str(tmp_path / "sub" / "a.png")],
    }
    assert voc_layout.named_files(tmp_path, ".xml") == {"b": [str(tmp_path / "b.xml")]}


def test_lists_that_are_not_there_are_everything(tmp_path):
    assert voc_layout.read_lists(tmp_path, "Main", "ab", "ab") == (
        {"train": ["a", "b"]},
        {"train": "all annotations"},
        [],
    )
    assert voc_layout.read_lists(tmp_path, "Main", "", "").splits == {}


def test_two_lists_of_a_split_are_refused(tmp_path):
    folder = tmp_path / "imagesets" / "main"
    folder.mkdir(parents=True)
    for name in ("val", "valid"):
        (folder / f"{name}.txt").write_text("a")
    with pytest.raises(ValueError, match="'val' and 'valid'"):
        voc_layout.read_lists(tmp_path, "Main", "a", "a")


def test_splits_of_folders():
    found = voc_layout.read_splits_of_folders(["train/a", "valid/b", "c"])
    assert found == (
        {"train": ["train/a"], "val": ["valid/b"]},
        {"train": "train/", "val": "valid/"},
        ["1 images are in no split's folder, so they are not read"],
    )
    assert voc_layout.read_splits_of_folders(["a", "sub/b"]) is None
