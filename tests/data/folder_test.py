import pathlib

import numpy as np
import pytest
from PIL import Image

from jaxvision.data import decode, folder


def draw(path: pathlib.Path, level: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((10, 12, 3), level, np.uint8)).save(path)


def test_subfolders_are_classes_in_sorted_order(tmp_path):
    for index in range(30):
        for level, name in enumerate(("ant", "Zebra", "bee")):
            draw(tmp_path / name / f"{index:02}.png", 50 * level)
    (tmp_path / ".cache").mkdir()
    (tmp_path / "ant" / "notes.txt").write_text("no image")
    (tmp_path / "ant" / "._00.png").write_bytes(b"resource fork")
    source = folder.load(f"folder:{tmp_path}")
    assert source.class_names == ("Zebra", "ant", "bee")
    assert (len(source["train"]), len(source["val"])) == (81, 9)
    levels = {0: 50, 1: 0, 2: 100}
    for split in ("train", "val"):
        rows = source[split]
        found = {rows[i]["label"] for i in range(len(rows))}
        assert found == {0, 1, 2}
        assert all(rows[i]["image"][0, 0, 0] == levels[rows[i]["label"]] for i in range(len(rows)))
    assert source["train"].name(0) == str(tmp_path / "Zebra" / "00.png")
    assert isinstance(source["val"].encoded(0)["image"], decode.Encoded)


@pytest.mark.parametrize(
    ("held_out", "expected"), [("val", "val"), ("Validation", "val"), ("valid", "val"), ("test", "test")]
)
def test_split_folders(tmp_path, held_out, expected):
    for name in ("cat", "dog"):
        draw(tmp_path / "train" / name / "deeper" / "1.JPG")
        draw(tmp_path / "train" / name / "2.jpeg")
    draw(tmp_path / held_out / "dog" / "1.bmp")
    source = folder.load(f"folder:{tmp_path}")
    assert source.class_names == ("cat", "dog")
    assert len(source["train"]) == 4
    assert len(source["val"]) == 1 and source["val"][0]["label"] == 1
    assert expected in source.splits


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.Png", "a.bmp", "a.webp", "a.GIF", "a.tif", "a.TIFF", "a.ppm"])
def test_every_format_is_found(tmp_path, name):
    draw(tmp_path / name)
    assert folder.image_files(str(tmp_path))[0]["image"].shape == (10, 12, 3)


def test_wrong_folders_are_one_line(tmp_path):
    cases = {
        tmp_path / "none": "no folder .*none.*expected DIR/CLASS",
        tmp_path: "no images under .*expected DIR/CLASS",
    }
    for path, reason in cases.items():
        with pytest.raises(ValueError, match=f"^--data=folder:{path}: {reason}[^\n]*$"):
            folder.load(f"folder:{path}")
    (tmp_path / "cat").mkdir()
    with pytest.raises(ValueError, match="no images under"):
        folder.load(f"folder:{tmp_path}")
    draw(tmp_path / "flat.png")
    with pytest.raises(ValueError, match="no images under"):
        folder.load(f"folder:{tmp_path}")
    draw(tmp_path / "b" / "train" / "cat" / "1.png")
    draw(tmp_path / "b" / "val" / "cow" / "1.png")
    with pytest.raises(ValueError, match="val/cow is a class that the training folder lacks"):
        folder.load(f"folder:{tmp_path / 'b'}")


def test_image_files_of_a_folder_a_glob_and_a_file(tmp_path):
    for name in ("b.png", "a.jpg", "sub/c.png"):
        draw(tmp_path / name)
    (tmp_path / "readme.txt").write_text("x")
    names = [str(tmp_path / name) for name in ("a.jpg", "b.png", "sub/c.png")]
    assert list(folder.image_files(str(tmp_path)).files) == names
    assert list(folder.image_files(f"{tmp_path}/*").files) == names[:2]
    assert list(folder.image_files(f"{tmp_path}/**/*.png").files) == names[1:]
    files = folder.image_files(names[0])
    assert len(files) == 1 and files.name(0) == names[0]
    assert files[0].keys() == files.encoded(0).keys() == {"image"}
    for pattern in (f"{tmp_path}/*.gif", f"{tmp_path}/none", f"{tmp_path}/*.txt"):
        with pytest.raises(ValueError, match=r"^--input=[^\n]+: no image files there[^\n]+$"):
            folder.image_files(pattern)


def test_broken_files_are_named_when_read(tmp_path):
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n then nothing")
    files = folder.image_files(str(tmp_path))
    for read in (files.__getitem__, files.encoded):
        with pytest.raises(ValueError, match=f"^{tmp_path}/x.png: "):
            read(0)
