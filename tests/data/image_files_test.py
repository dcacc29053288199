import os
import pathlib

import numpy as np
import pytest
from PIL import Image

from jaxvision.data import image_files


def draw(path: pathlib.Path, level: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((10, 12, 3), level, np.uint8)).save(path)


@pytest.mark.parametrize(
    "name",
    ["a.jpg", "a.JPEG", "a.Png", "a.bmp", "a.webp", "a.GIF", "a.tif", "a.TIFF", "a.ppm", "a.pgm", "a.pnm", "a.jfif"],
)
def test_every_format_is_found(tmp_path, name):
    draw(tmp_path / name)
    assert image_files.image_files(str(tmp_path))[0]["image"].shape == (10, 12, 3)


def test_image_files_of_a_folder_a_glob_and_a_file(tmp_path):
    for name in ("b.png", "a.jpg", "sub/c.png"):
        draw(tmp_path / name)
    (tmp_path / "readme.txt").write_text("x")
    names = [str(tmp_path / name) for name in ("a.jpg", "b.png", "sub/c.png")]
    assert list(image_files.image_files(str(tmp_path)).files) == names
    assert list(image_files.image_files(f"{tmp_path}/*").files) == names[:2]
    assert list(image_files.image_files(f"{tmp_path}/**/*.png").files) == names[1:]
    files = image_files.image_files(names[0])
    assert len(files) == 1 and files.name(0) == names[0]
    text = str(tmp_path / "readme.txt")
    others = lambda pattern: image_files.images_and_others(pattern)[1]  # noqa: E731
    assert others(str(tmp_path)) == others(f"{tmp_path}/*") == [text]
    assert others(text) == []
    assert files[0].keys() == files.encoded(0).keys() == {"image"}
    for pattern in (f"{tmp_path}/*.gif", f"{tmp_path}/none", f"{tmp_path}/*.txt"):
        with pytest.raises(ValueError, match=r"^--input=[^\n]+: no image files there[^\n]+$"):
            image_files.image_files(pattern)


def test_broken_files_are_named_when_read(tmp_path):
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n then nothing")
    files = image_files.image_files(str(tmp_path))
    for read in (files.__getitem__, files.encoded):
        with pytest.raises(ValueError, match=f"^{tmp_path}/x.png: "):
            read(0)


def test_hidden_files_and_folders_are_no_data(tmp_path):
    for name in ("a.png", "._a.png", ".cache/b.png", "__MACOSX/c.png", "sub/d.png"):
        draw(tmp_path / "e.png")
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / "e.png").rename(tmp_path / name)
    assert image_files.images_below(str(tmp_path)) == [str(tmp_path / "a.png"), str(tmp_path / "sub" / "d.png")]


def test_a_folder_that_links_to_itself_is_read_once(tmp_path):
    draw(tmp_path / "one" / "a.png")
    os.symlink(tmp_path / "one", tmp_path / "one" / "self")
    os.symlink(tmp_path, tmp_path / "one" / "up")
    os.symlink(tmp_path / "nowhere", tmp_path / "one" / "broken")
    (tmp_path / "linked").mkdir()
    draw(tmp_path / "linked" / "b.png")
    os.symlink(tmp_path / "linked", tmp_path / "one" / "other")
    found = image_files.images_below(str(tmp_path / "one"))
    assert sorted(os.path.basename(name) for name in found) == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("names", "inner"),
    [
        (["set/x/a.png", "set/y/b.png"], "set"),
        (["one/two/x/a.png", "one/two/y/b.png"], "one/two"),
        (["set/a.png", "readme.txt"], ""),
        (["images/a.png"], ""),
        (["train/a.png"], ""),
        (["__MACOSX/a.png", ".git/x", "set/a.png"], "set"),
    ],
)
def test_a_folder_that_holds_one_folder_is_opened(tmp_path, names, inner):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert image_files.opened(tmp_path) == tmp_path / inner
    assert image_files.opened(tmp_path / "none") == tmp_path / "none"
