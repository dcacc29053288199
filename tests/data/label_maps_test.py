import os
import pathlib
import pickle
import sys

import numpy as np
import pytest
import tensorflow_datasets
from PIL import Image

from jaxvision.data import decode, label_maps, pipeline, segmentation, sources
from jaxvision.data.inputs import Inputs
from jaxvision.data.objects import VOC_NAMES
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


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "LA", "I;16", "1"])
def test_label_maps_are_indices(tmp_path, mode):
    write(tmp_path, "a", rows(0, 1, 255))
    write(tmp_path, "b", rows(0, 1, 255))
    write(tmp_path, "c", rows(2, 1, 255))
    file = tmp_path / "labels" / "a.png"
    picture = Image.fromarray(rows(0, 2, 255))
    if mode == "P":
        picture = picture.convert("P")
        picture.putpalette(list(range(255, -1, -1)) * 3)
    elif mode == "I;16":
        picture = Image.fromarray(rows(0, 2, 255).astype(np.uint16))
    elif mode != "L":
        picture = picture.convert(mode)
    picture.save(file)
    records = sources.load(f"masks:{tmp_path}", "label_maps")["train"].parent
    if mode in ("L", "P"):
        assert records[0]["label_map"].tolist() == rows(0, 2, 255).tolist()
    else:
        with pytest.raises(ValueError, match=rf"^{file}: mode {mode}[^\n]*; a label map is [^\n]+$"):
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
    expect("one class at most; 255 does not count, so write 0 and 1")
    expect("ignore=x: give one label, 0 to 255", ",ignore=x")
    expect("ignore=256: give one label", ",ignore=256")
    for names in ("x\nx", "x", "\n".join(map(str, range(256)))):
        (tmp_path / "classes.txt").write_text(names)
        expect("it needs 2 to 255, no two alike, one a line")
    (tmp_path / "labels" / "b.png").unlink()
    expect("images/b.png has no [^\n]+labels/b.png; 1 of 2 have none")
    Image.new("RGB", (3, 2)).save(tmp_path / "images" / "a.bmp")
    expect("a.bmp and [^\n]+a.png would share a label map; rename one")


@pytest.mark.parametrize("spec", ["tfds:mnist", "tfds:oxford_flowers102:2.1.1"])
def test_sets_of_tfds_without_known_label_maps_are_one_line(spec):
    with pytest.raises(ValueError, match=f"^--data={spec}: [^\n]+ use tfds:oxford_iiit_pet$"):
        sources.load(spec, "label_maps")


def test_scenes_have_label_maps():
    source = Inputs().source("scenes:count=4,size=48", "label_maps")
    assert source.class_names[0] == "background" and source["val"][0]["label_map"].shape == (48, 48)


def voc(root: pathlib.Path, **lists: str) -> None:
    for folder in ("Annotations", "JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for split, items in lists.items():
        (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_text(items.replace(" ", "\r\n") + "\r\n")
        for item in items.split():
            Image.new("RGB", (3, 2)).save(root / "JPEGImages" / f"{item}.jpg")
            labels = Image.fromarray(rows(20, 255)).convert("P")
            labels.putpalette(list(range(255, -1, -1)) * 3)
            labels.save(root / "SegmentationClass" / f"{item}.png")


def test_voc_lists_its_segmented_images(tmp_path):
    root = tmp_path / "VOCdevkit" / "VOC2012"
    voc(root, train="2007_1 2007_2", val="2007_3")
    (root / "SegmentationClass" / "2007_2.png").unlink()
    for path in (root, tmp_path):
        source = sources.load(f"voc:{path}", "label_maps")
        assert source.class_names == ("background", *VOC_NAMES)
        assert {split: len(records) for split, records in source.splits.items()} == {"train": 2, "val": 1}
    assert source["train"][0]["label_map"].tolist() == rows(20, 255).tolist()
    with pytest.raises(ValueError, match="^[^\n]+SegmentationClass/2007_2.png: No such file or directory$"):
        source["train"][1]
    voc(tmp_path / "other")
    with pytest.raises(ValueError, match="^--data=voc:[^\n]+: no ImageSets/Segmentation/train.txt; [^\n]+$"):
        sources.load(f"voc:{tmp_path / 'other'}", "label_maps")


@pytest.mark.filterwarnings("ignore")  # the package's own
def test_pets_are_read_without_tensorflow(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    os.makedirs(tmp_path / "tfds")
    prepare_pets(tmp_path, [rows(1, 2, 3), rows(3, 3, 2), rows(2, 0, 1), rows(1, 2, 4), rows(1, 2)])
    source = sources.load("tfds:oxford_iiit_pet", "label_maps")
    assert source.class_names == ("pet", "background", "border")
    assert {split: len(records) for split, records in source.splits.items()} == {"train": 5, "test": 5, "val": 5}
    records = pickle.loads(pickle.dumps(source["train"]))
    found: dict[int, object] = {}
    for index in range(5):
        colour = int(decode.Encoded(bytes(records.examples[index]["image"])).pixels()[0, 0, 0])
        try:
            found[colour] = records[index]["label_map"][:, 0].tolist()
        except ValueError as error:
            found[colour] = str(error).partition("]: ")[2]
    assert found[0] == [0, 1, 2] and found[1] == [2, 2, 1] and found[2] == [1, 255, 0]
    assert found[3] == "has label 3, but there are 3 classes, from 0; mark what does not count by 255"
    assert found[4] and "the label map is 3x2, but tfds:oxford_iiit_pet/train[" in str(found[4])
    assert "tensorflow" not in sys.modules


def prepare_pets(root: pathlib.Path, label_maps: list[np.ndarray]) -> None:
    """Writes label maps and images of 3×3 pixels, coloured with their number, as TFDS itself would."""
    features = tensorflow_datasets.features
    files = []
    for index, labels in enumerate(label_maps):
        files.append((str(root / f"{index}.png"), str(root / f"labels{index}.png")))
        Image.fromarray(np.full((3, 3, 3), index, np.uint8)).save(files[-1][0])
        Image.fromarray(labels).save(files[-1][1])

    def examples(self):
        for index, (image, labels) in enumerate(files):
            yield index, {"image": image, "segmentation_mask": labels}

    def info(self):
        mask = features.Image(shape=(None, None, 1), use_colormap=True)
        content = features.FeaturesDict({"image": features.Image(shape=(None, None, 3)), "segmentation_mask": mask})
        return tensorflow_datasets.core.DatasetInfo(builder=self, features=content)

    body = {
        "VERSION": tensorflow_datasets.core.Version("1.0.0"),
        "name": "oxford_iiit_pet",
        "_info": info,
        "_split_generators": lambda self, _: {split: self._generate_examples() for split in ("train", "test")},
        "_generate_examples": examples,
    }
    bases = (tensorflow_datasets.core.GeneratorBasedBuilder,)
    builder = type("OxfordIiitPet", bases, body, skip_registration=True)
    builder(data_dir=str(root / "tfds"), file_format="array_record").download_and_prepare()
