import pathlib
import pickle

import numpy as np
import pytest
from PIL import Image

from jaxvision.data import pipeline, voc
from jaxvision.data.canvas import canvases
from jaxvision.data.records import NOTE

BOX = "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>"


def thing(name: str, *box: float, difficult: int | None = 0) -> str:
    flag = "" if difficult is None else f"<difficult>{difficult}</difficult>"
    # Parts, such as a person's head, have boxes of their own that are not the object's.
    part = f"<part><name>head</name>{BOX.format(1, 1, 2, 2)}</part>"
    return f"<object><name>{name}</name>{flag}{part}{BOX.format(*box)}</object>"


def write(
    root: pathlib.Path, item: str, *things: str, size: tuple[int, int] = (20, 10), said: tuple[int, int] | None = None
) -> None:
    """An image of `size` (width, height) and its annotation, which says `said`."""
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size[1], size[0], 3), 90, np.uint8)).save(root / "JPEGImages" / f"{item}.png")
    width, height = said or size
    (root / "Annotations" / f"{item}.xml").write_text(
        f"<annotation><size><width>{width}</width><height>{height}</height></size>{''.join(things)}</annotation>"
    )


def lists(root: pathlib.Path, **splits: str) -> None:
    for split, items in splits.items():
        (root / "ImageSets" / "Main" / f"{split}.txt").write_text(items.replace(" ", "\r\n") + "\r\n")


def test_corners_count_from_one_and_are_converted_once(tmp_path):
    write(tmp_path, "a", thing("dog", 1, 1, 20, 10), thing("cat", 3, 4, 5, 8, difficult=1))
    write(tmp_path, "b", thing("person", "2.5", " 1 ", 4.0, 3, difficult=None))
    lists(tmp_path, train="a", val="b")
    source = voc.load(f"voc:{tmp_path}")
    assert source.class_names == ("background", *voc.VOC_NAMES) and source.num_classes == 21
    record = source["train"][0]
    assert record["boxes"].tolist() == [[0, 0, 20, 10], [2, 3, 5, 8]] and record["boxes"].dtype == np.float32
    assert record["labels"].tolist() == [12, 8] and record["labels"].dtype == np.int32
    assert record["difficult"].tolist() == [False, True]
    assert record["image"].shape == (10, 20, 3) and NOTE not in record
    other = pickle.loads(pickle.dumps(source["val"]))[0]
    assert other["boxes"].tolist() == [[1.5, 0, 4, 3]] and other["difficult"].tolist() == [False]
    assert source["val"].name(0) == str(tmp_path / "JPEGImages" / "b.png")


def test_images_without_objects_are_records(tmp_path):
    write(tmp_path, "a")
    write(tmp_path, "b", thing("ant", 1, 1, 2, 2))
    lists(tmp_path, train="a", val="b")
    record = voc.load(f"voc:{tmp_path}")["train"][0]
    assert record["boxes"].shape == (0, 4) and record["labels"].shape == record["difficult"].shape == (0,)


def test_degenerate_boxes_are_dropped_and_named(tmp_path):
    bad = [(5, 5, 5, 5), (9, 2, 4, 8), (30, 1, 40, 5), (3, 8, 9, 8)]
    write(tmp_path, "a", thing("ant", 4, 4, 8, 8), *(thing("ant", *box) for box in bad), thing("bee", 0, -3, 99, 5))
    lists(tmp_path, train="a", val="a")
    records = voc.load(f"voc:{tmp_path}")["train"]
    assert records[0]["boxes"].tolist() == [[3, 3, 8, 8], [0, 0, 20, 5]]
    assert records[0]["labels"].tolist() == [1, 2]
    assert records[0][NOTE].startswith(
        "dropped 4 of 6 boxes, without area inside the image: object 2 (5 5 5 5), object 3 "
    )
    transform = canvases(10, 20).evaluate(4)
    iterator = pipeline.evaluate(records, transform, 1)(0, 1)
    batch = next(iterator)
    assert (
        batch["valid"].sum() == 2 and batch["_mask"].all() and not [key for key in batch if key in ("_note", "_index")]
    )
    assert list(iterator.notes) == [records.name(0)] and not iterator.skipped
    with pytest.raises(ValueError, match=r"^\S+a.png: dropped 4 of 6 boxes[^\n]+$"):
        next(pipeline.train(records, transform, 1, seed=0, strict=True)(0, 1))


def test_classes_other_than_vocs_are_sorted(tmp_path):
    write(tmp_path, "a", thing("dog", 1, 1, 5, 5), thing("Zebra", 1, 1, 5, 5))
    write(tmp_path, "b", thing("axolotl", 1, 1, 5, 5))
    lists(tmp_path, train="a", val="b")
    source = voc.load(f"voc:{tmp_path}")
    assert source.class_names == ("background", "Zebra", "axolotl", "dog")
    assert source["train"][0]["labels"].tolist() == [3, 1]


def test_splits_are_the_lists_there_are(tmp_path):
    root = tmp_path / "VOCdevkit" / "VOC2007"
    for index in range(20):
        write(root, f"{index:02}", thing("dog", 1, 1, 5, 5))
    for path in (root, root.parent, tmp_path):
        sizes = {name: len(split) for name, split in voc.load(f"voc:{path}").splits.items()}
        assert sizes == {"all": 20, "train": 18, "val": 2}
    lists(root, trainval="00 01 02 03", test="04 05")
    sizes = {name: len(split) for name, split in voc.load(f"voc:{root}").splits.items()}
    assert sizes == {"train": 4, "trainval": 4, "test": 2, "val": 2}
    lists(root, val="03")
    source = voc.load(f"voc:{root}")
    assert len(source["train"]) == 3 and "03" not in {pathlib.Path(source["train"].name(i)).stem for i in range(3)}
    write(root.parent / "VOC2012", "a", thing("dog", 1, 1, 5, 5))
    with pytest.raises(ValueError, match=r"^--data=voc:\S+: holds several; say which, like voc:\S+/VOC2007$"):
        voc.load(f"voc:{tmp_path}")


def test_what_cannot_be_read_is_named_when_it_is_asked_for(tmp_path):
    bomb = '<!DOCTYPE a [<!ENTITY b "bbbb">]><annotation><object><name>&b;</name></object></annotation>'
    write(tmp_path, "good", thing("ant", 1, 1, 5, 5))
    write(tmp_path, "turned", thing("ant", 1, 1, 5, 5), said=(10, 20))
    write(tmp_path, "nameless", "<object/>")
    write(tmp_path, "bomb")
    (tmp_path / "Annotations" / "bomb.xml").write_text(bomb)
    write(tmp_path, "torn")
    (tmp_path / "Annotations" / "torn.xml").write_text("<annotation><obj")
    lists(tmp_path, train="good turned bomb nameless torn absent", val="good")
    records = voc.load(f"voc:{tmp_path}")["train"]
    assert records[0]["labels"].tolist() == [1]
    reasons = (
        "turned.png: annotated as 10x20, but it is 20x10 .the annotations ignore",
        "bomb.xml: has a document type",
        "nameless.xml: an object without <xmin>",
        "torn.xml: unclosed token",
        "absent.xml: No such file",
    )
    for index, reason in enumerate(reasons, 1):
        with pytest.raises(ValueError, match=f"^[^\n]*{reason}[^\n]*$"):
            records[index]
    assert canvases(10, 20, 2).groups(records).tolist() == [0, 1, 0, 0, 0, 0]


def test_an_annotation_without_a_size_takes_the_files(tmp_path):
    write(tmp_path, "a", thing("ant", 1, 1, 5, 5), size=(7, 30), said=(0, 0))
    lists(tmp_path, train="a", val="a")
    records = voc.load(f"voc:{tmp_path}")["train"]
    assert records.extent(0) == (7, 30) and records[0]["boxes"].tolist() == [[0, 0, 5, 5]]


def test_label_maps_are_palette_indices(tmp_path):
    write(tmp_path, "a", thing("dog", 1, 1, 5, 5))
    lists(tmp_path, train="a", val="a")
    values = np.array([[0, 12, 255], [1, 1, 20]], np.uint8)
    for folder, shift in (("SegmentationClass", 0), ("SegmentationObject", 1)):
        (tmp_path / folder).mkdir()
        picture = Image.fromarray(values + np.uint8(shift), "L").convert("P")
        picture.putpalette(list(range(255, -1, -1)) * 3)
        picture.save(tmp_path / folder / "a.png")
    records = voc.load(f"voc:{tmp_path}")["train"]
    np.testing.assert_array_equal(records.label_map(0), values)
    np.testing.assert_array_equal(records.label_map(0, instances=True), values + np.uint8(1))
    Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(tmp_path / "SegmentationClass" / "a.png")
    with pytest.raises(ValueError, match="a.png: mode RGB"):
        records.label_map(0)
    (tmp_path / "SegmentationClass" / "a.png").unlink()
    with pytest.raises(ValueError, match="^[^\n]*a.png: No such file"):
        records.label_map(0)


def test_folders_of_another_layout_are_one_line(tmp_path):
    with pytest.raises(ValueError, match="^--data=voc:[^\n]+: not the layout of VOC; expected [^\n]+$"):
        voc.load(f"voc:{tmp_path}")
    write(tmp_path, "a")
    with pytest.raises(ValueError, match="^--data=voc:[^\n]+: no object in any annotation [^\n]+$"):
        voc.load(f"voc:{tmp_path}")
