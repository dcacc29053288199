import pathlib
import pickle

import numpy as np
import pytest
from PIL import Image

from jaxvision.data import decode, label_maps, pipeline, segmentation, sources
from jaxvision.data.inputs import Inputs
from jaxvision.data.records import extent


def write(folder: pathlib.Path, stem: str, labels: np.ndarray, *, colour: int = 0, suffix: str = ".png") -> None:
    """A plain image and its label map."""
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*labels.shape, 3), colour, np.uint8)).save(folder / "images" / f"{stem}{suffix}")
    Image.fromarray(labels.astype(np.uint8)).save(folder / "labels" / f"{stem}.png")


def rows(*values: int) -> np.ndarray:
    """A 3-column label map with one value a row."""
    return np.repeat(np.array(values, np.uint8)[:, None], 3, axis=1)


def test_masks_in_splits_are_matched_by_name(tmp_path):
    for split, count in (("train", 3), ("val", 2), ("test", 1)):
        for index in range(count):
            write(tmp_path / split, f"b{index}", rows(0, index, 11), colour=index, suffix=".JPG" if index else ".png")
    source = sources.load(f"masks:{tmp_path},ignore=11", "label_maps")
    assert {split: len(records) for split, records in source.splits.items()} == {"train": 3, "val": 2, "test": 1}
    assert source.class_names == ("0", "1", "2")
    record = pickle.loads(pickle.dumps(source["train"]))[2]
    assert record["label_map"].tolist() == rows(0, 2, 255).tolist() and record["label_map"].dtype == np.uint8
    assert record["image"].shape == (3, 3, 3) and (record["image"] == 2).all()
    assert isinstance(source["train"].encoded(1)["image"], decode.Encoded)
    assert extent(source["train"], 1) == (3, 3) and source["val"].name(1) == str(tmp_path / "val" / "images" / "b1.JPG")
    assert sources.load(f"masks:{tmp_path}", "label_maps").num_classes == 12


def test_masks_of_one_folder_hold_out_a_tenth(tmp_path):
    for index in range(20):
        write(tmp_path, f"{index:02}", rows(1, 0), colour=index)
    (tmp_path / "labels" / "._00.png").write_bytes(b"")
    (tmp_path / "classes.txt").write_text("sky\n\n road \ncar\n", "utf-8-sig")
    source = sources.load(f"masks:{tmp_path},ignore=0", "label_maps")
    assert source.class_names == ("sky", "road", "car")
    assert (len(source["train"]), len(source["val"])) == (18, 2)
    colours = [
        records[i]["image"][0, 0, 0] for records in (source["train"], source["val"]) for i in range(len(records))
    ]
    assert sorted(colours) == list(range(20))
    assert source["train"][0]["label_map"].tolist() == rows(1, 255).tolist()


@pytest.mark.parametrize(
    ("names", "values", "expected"),
    [
        ("", (0, 255), (0, 1)),
        ("bg\nfg", (0, 255), (0, 1)),
        ("", (0, 128, 255), (0, 1, 2)),
        ("a\nb\nc", (0, 127, 255), (0, 1, 2)),
        ("a\nb", (0, 1, 255), (0, 1, 255)),
        ("a\nb\nc", (0, 2, 255), (0, 2, 255)),
        ("", (0, 1, 255), (0, 1, 255)),
    ],
)
def test_painted_values_are_classes_where_the_names_or_values_say_so(tmp_path, names, values, expected):
    for stem in ("a", "b"):
        write(tmp_path, stem, rows(*values))
    if names:
        (tmp_path / "classes.txt").write_text(names)
    source = sources.load(f"masks:{tmp_path}", "label_maps")
    assert source["all"][0]["label_map"][:, 0].tolist() == list(expected)
    assert source.num_classes == (names.count("\n") + 1 if names else sum(value < 255 for value in expected))
    assert ("are classes 0 to" in source.origins["train"]) == (255 not in expected)


@pytest.mark.parametrize(
    ("names", "values", "reason"),
    [
        ("", (0, 1, 254, 255), "the label 254 needs 255 classes, but 3 labels occur; did you mean to ignore it"),
        ("", range(255), "the label 254 needs 255 classes"),
        ("", (255, 255), "the label maps hold ignored pixels only"),
        ("", (0, 0), "the label maps hold one class at most"),
        ("a\nb", (255, 255), "every pixel of the label maps is ignored"),
    ],
)
def test_label_maps_that_make_no_classes_are_refused(tmp_path, names, values, reason):
    write(tmp_path, "a", rows(*values))
    if names:
        (tmp_path / "classes.txt").write_text(names)
    with pytest.raises(ValueError, match=f"^--data=masks:[^\n]+: {reason}[^\n]*$"):
        sources.load(f"masks:{tmp_path}", "label_maps")


def test_a_value_that_is_no_class_of_a_painted_set_is_named(tmp_path):
    write(tmp_path, "a", rows(0, 255))
    file = str(tmp_path / "labels" / "a.png")
    records = label_maps.LabelledImages((str(tmp_path / "images" / "a.png"),), (file,), 2, values=(0, 255))
    assert records[0]["label_map"][:, 0].tolist() == [0, 1]
    Image.fromarray(rows(0, 3)).save(file)
    with pytest.raises(ValueError, match="a.png: has the value 3, but the classes' values are 0, 255"):
        records[0]


def test_pairs_that_do_not_fit_are_named_and_skipped(tmp_path):
    for stem, values in (("a", (0, 1)), ("big", (7, 1)), ("long", (0, 1)), ("torn", (0, 1)), ("turned", (0, 1))):
        write(tmp_path / "train", stem, rows(*values))
    write(tmp_path / "val", "a", rows(0, 1))
    (tmp_path / "classes.txt").write_text("x\ny")
    labels = tmp_path / "train" / "labels"
    Image.fromarray(rows(0, 1, 1)).save(labels / "long.png")
    Image.fromarray(np.zeros((3, 2), np.uint8)).save(labels / "turned.png")
    (labels / "torn.png").write_bytes((labels / "a.png").read_bytes()[:40])
    records = sources.load(f"masks:{tmp_path}", "label_maps")["train"]
    reasons = {
        "big": "has label 7, but there are 2 classes, from 0; mark what does not count by 255",
        "long": r"the label map is 3x3, but \S+images/long.png is 3x2",
        "torn": "[^\n]+",
        "turned": r"the label map is 2x3, but \S+ is 3x2 \(it ignores the image's EXIF orientation\)",
    }
    for index, (stem, reason) in enumerate(reasons.items(), 1):
        with pytest.raises(ValueError, match=f"^{labels / stem}.png: {reason}$"):
            records[index]
    iterator = pipeline.evaluate(records, segmentation.evaluate((4, 4)), 5)(0, 1)
    assert next(iterator)["_mask"].tolist() == [True, False, False, False, False]
    assert sorted(pathlib.Path(name).stem for name in iterator.skipped) == sorted(reasons)


def test_a_damaged_png_is_always_one_line(tmp_path):
    write(tmp_path, "a", np.random.default_rng(0).integers(0, 5, (12, 9)))
    file = tmp_path / "labels" / "a.png"
    whole = file.read_bytes()
    for position in range(0, len(whole), 3):
        file.write_bytes(whole[:position] + bytes([whole[position] ^ 255]) + whole[position + 1 :])
        try:
            label_maps.LabelledImages((str(tmp_path / "images" / "a.png"),), (str(file),), 5)[0]
        except ValueError as error:
            assert str(error).startswith(str(file)) and "\n" not in str(error)


def test_largest_labels_skip_what_cannot_be_read(tmp_path):
    for split, top in (("train", 2), ("val", 4)):
        write(tmp_path / split, "a", rows(0, top, 255))
    (tmp_path / "train" / "labels" / "a.png").write_bytes(b"torn")
    assert sources.load(f"masks:{tmp_path}", "label_maps").num_classes == 5
    (tmp_path / "val" / "labels" / "a.png").write_bytes(b"torn")
    with pytest.raises(ValueError, match="^[^\n]+labels/a.png: cannot identify[^\n]+$"):
        sources.load(f"masks:{tmp_path}", "label_maps")


def test_layouts_that_cannot_be_read_are_one_line(tmp_path):
    def expect(reason: str, options: str = "") -> None:
        with pytest.raises(ValueError, match=f"^(--data=masks:|[^\n]*classes.txt: )[^\n]*{reason}[^\n]*$"):
            sources.load(f"masks:{tmp_path}{options}", "label_maps")

    expect("no images to train on under [^\n]+; expected DIR/train/images")
    (tmp_path / "images").mkdir()
    expect("no images in [^\n]+images")
    write(tmp_path, "a", rows(0, 255))
    write(tmp_path, "b", rows(0, 255))
    expect("one class at most; 255 does not count, so write 0 and 1", ",ignore=255")
    expect("ignore=x: give one label, 0 to 255", ",ignore=x")
    expect("ignore=256: give one label", ",ignore=256")
    for names in ("x\nx", "x", "\n".join(map(str, range(256)))):
        (tmp_path / "classes.txt").write_text(names)
        expect("it needs 2 to 255, no two alike, one a line")
    (tmp_path / "labels" / "b.png").unlink()
    expect("images/b.png has no [^\n]+labels/b.png; 1 of 2 have none")
    Image.new("RGB", (3, 2)).save(tmp_path / "images" / "a.bmp")
    expect("a.bmp and [^\n]+a.png would share a label map; rename one")


def test_scenes_have_label_maps():
    source = Inputs().source("scenes:count=4,size=48", "label_maps")
    assert source.class_names[0] == "background" and source["val"][0]["label_map"].shape == (48, 48)
