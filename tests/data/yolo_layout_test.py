"""Layouts in which tools write YOLO's format, and what is refused."""

import pathlib

import pytest
from PIL import Image

from jaxvision.data import yolo_layout

NAMES = "names: [cat, dog]\n"


def make(root: pathlib.Path, *images: str, **texts: str) -> pathlib.Path:
    """Write empty images, and text files (a slash is written as __, a dot as _dot_)."""
    for name in images:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 10)).save(root / name)
    for name, text in texts.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def found(root: pathlib.Path) -> dict[str, list[str]]:
    layout = yolo_layout.find(f"yolo:{root}", root)
    assert layout.names == {0: "cat", 1: "dog"}
    return {split: [str(pathlib.Path(f).relative_to(root)) for f in files] for split, files in layout.splits.items()}


TWO = {"train": ["images/train/a.png"], "val": ["images/val/b.png"]}


@pytest.mark.parametrize(
    ("texts", "splits"),
    [
        ({"data_dot_yaml": NAMES + "path: ../x\ntrain: images/train\nval: images/val\n"}, TWO),
        ({"data_dot_yaml": NAMES + "train: /content/x/images/train\nval:\n- ../images/val\n"}, TWO),
        ({"data_dot_yaml": NAMES + "train: C:\\x\\images\\train\nval: images/val/\n"}, TWO),
        ({"data_dot_yaml": "names: {1: dog, 0: cat}\n"}, TWO),
        ({"coco_dot_yml": "\ufeff" + NAMES + "train: train.txt\nvalid: ''\n", "train_dot_txt": "./images/train/a.png"},
         {"train": ["images/train/a.png"]}),
        ({"obj_dot_names": "cat\r\ndog\r\n"}, TWO),
        ({"labels__classes_dot_txt": "cat\ndog"}, TWO),
        ({"data_dot_yaml": NAMES, "Train_dot_txt": "data/images/train/a.png\n", "valid_dot_txt": "images/val/b.png\n"},
         TWO),
        ({"data_dot_yaml": NAMES + "train: images/train\nval: images/gone\n"}, {"train": ["images/train/a.png"]}),
    ],
)  # fmt: skip
def test_descriptions_and_lists(tmp_path, texts, splits):
    assert found(make(tmp_path, "images/train/a.png", "images/val/b.png", **texts)) == splits


@pytest.mark.parametrize(
    ("images", "splits"),
    [
        (("train/images/a.png", "valid/images/b.png"), {"train": 1, "val": 1}),
        (("images/Train/a.png", "images/test/b.png"), {"train": 1, "test": 1}),
        (("train/a.png", "val/b.png"), {"train": 1, "val": 1}),
        (("obj_train_data/a.png", "obj_Validation_data/sub/b.png"), {"train": 1, "val": 1}),
        (("images/a.png", "images/deep/b.png"), {"all": 2}),
        (("a.png", "b.png"), {"all": 2}),
    ],
)
def test_folders(tmp_path, images, splits):
    made = found(make(tmp_path, *images, data_dot_yaml=NAMES))
    assert {split: len(files) for split, files in made.items()} == splits


def test_a_link_that_leads_in_a_circle_is_no_folder(tmp_path):
    make(tmp_path, "train/a.png", data_dot_yaml=NAMES)
    (tmp_path / "again").symlink_to(tmp_path / "again")
    assert found(tmp_path) == {"train": ["train/a.png"]}


def test_a_split_that_is_not_there_is_named(tmp_path):
    make(tmp_path, "train/images/a.png", data_dot_yaml=NAMES + "train: ../train/images\nval: ../valid/images\n")
    layout = yolo_layout.find("yolo:x", tmp_path)
    assert layout.left_out == [f"{tmp_path}/data.yaml: val: ../valid/images is not there"]
    assert layout.origins == {"train": "train/images"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("names: [cat\n", "data.yaml: not YAML: "),
        ("- cat\n", "data.yaml: has no names of classes"),
        ("nc: 2\n", "^--data=yolo:x: the classes have no names; expected "),
        (NAMES + "train: images/gone\n", "^--data=yolo:x: data.yaml says train: images/gone, which is not there"),
    ],
)
def test_what_cannot_be_understood_is_one_line(tmp_path, text, reason):
    make(tmp_path, "images/a.png", data_dot_yaml=text)
    with pytest.raises(ValueError, match=reason) as error:
        yolo_layout.find("yolo:x", tmp_path)
    assert "\n" not in str(error.value)


def test_several_descriptions_and_no_images_are_one_line(tmp_path):
    make(tmp_path, one_dot_yaml=NAMES, two_dot_yaml=NAMES)
    with pytest.raises(ValueError, match="holds one.yaml and two.yaml; say which"):
        yolo_layout.find("yolo:x", tmp_path)
    with pytest.raises(ValueError, match="^--data=yolo:x: no images under [^\n]+; expected [^\n]+$"):
        yolo_layout.find("yolo:x", tmp_path / "two.yaml")
    with pytest.raises(ValueError, match="^--data=yolo:x: no folder [^\n]+; expected [^\n]+$"):
        yolo_layout.find("yolo:x", tmp_path / "gone")


def test_names_are_text_whatever_yaml_makes_of_them(tmp_path):
    make(tmp_path, "images/a.png", data_dot_yaml="names: [yes, 1, no, null]\n")
    assert list(yolo_layout.find("yolo:x", tmp_path).names.values()) == ["yes", "1", "no", "null"]


@pytest.mark.parametrize(
    ("image", "labels"),
    [
        ("images/train/a.png", "labels/train/a.txt"),
        ("train/images/a.b.png", "train/labels/a.b.txt"),
        ("Images/a.png", "Labels/a.txt"),
        ("images/a.png", "images/a.txt"),
        ("train/a.png", "train/a.txt"),
    ],
)
def test_label_files(tmp_path, image, labels):
    make(tmp_path, image)
    assert yolo_layout.LabelFiles().find(str(tmp_path / image)) is None
    (tmp_path / labels).parent.mkdir(exist_ok=True, parents=True)
    (tmp_path / labels).write_text("")
    assert yolo_layout.LabelFiles().find(str(tmp_path / image)) == str(tmp_path / labels)
