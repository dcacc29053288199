"""Images found by the names that annotations have for them."""

import pytest

from jaxvision.data.image_index import ImageIndex


@pytest.fixture
def index(tmp_path):
    for name in ("images/a.png", "images/sub/b.png", "x/twice.png", "y/twice.png", "images/gr\u00f6\u00dfe 1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return ImageIndex(tmp_path)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a.png", "images/a.png"),
        ("sub/b.png", "images/sub/b.png"),
        ("sub\\b.png", "images/sub/b.png"),
        ("b.png", "images/sub/b.png"),
        ("/data/upload/7/b.png", "images/sub/b.png"),
        ("gro\u0308\u00dfe 1.png", "images/gr\u00f6\u00dfe 1.png"),
        ("missing.png", "images/missing.png"),
        ("A.PNG", "images/a.png"),
        ("sub/b", "images/sub/b.png"),
    ],
)
def test_a_name_is_found(index, tmp_path, name, path):
    assert index.find(name, [tmp_path / "images", tmp_path]) == str(tmp_path / path)


def test_a_name_that_two_files_have_is_refused(index, tmp_path):
    with pytest.raises(ValueError, match="twice.png: .*x/twice.png and .*y/twice.png are both called so"):
        index.find("twice.png", [tmp_path / "images"])
    assert index.find("x/twice.png", [tmp_path]) == str(tmp_path / "x/twice.png")


@pytest.mark.parametrize(("split", "found"), [("val", "images/val/1.png"), ("", "images/train/1.png")])
def test_another_splits_image_of_the_name_is_not_taken(tmp_path, split, found):
    (tmp_path / "images" / "train").mkdir(parents=True)
    (tmp_path / "images" / "train" / "1.png").touch()
    folder = tmp_path / "images" / "val"
    assert ImageIndex(tmp_path, "val").find("1.png", [folder]) == str(tmp_path / "images" / "train" / "1.png")
    folder.mkdir()
    assert ImageIndex(tmp_path, split).find("1.png", [folder]) == str(tmp_path / found)
