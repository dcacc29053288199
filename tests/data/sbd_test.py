"""SBD's label maps are read from MATLAB files, and VOC's validation images are kept out of its training."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import io

from jaxvision.data import sbd, sources

CLASSES = {"a": 3, "b": 7, "c": 20, "d": 1, "e": 2}


def write_sbd(root: Path, train: str = "abc", val: str = "d") -> Path:
    """Write images of one class each, in the layout of the archive."""
    folder = root / "benchmark_RELEASE" / "dataset"
    for name in ("img", "cls"):
        (folder / name).mkdir(parents=True)
    for name, items in (("train", train), ("val", val)):
        (folder / f"{name}.txt").write_text("".join(f"{item}\n" for item in items))
        for item in items:
            labels = np.zeros((12, 16), np.uint8)
            labels[2:6, 3:9] = CLASSES[item]
            Image.fromarray(np.full((12, 16, 3), 90, np.uint8)).save(folder / "img" / f"{item}.jpg")
            boundaries = np.zeros((20, 1), object)
            io.savemat(folder / "cls" / f"{item}.mat", {"GTcls": {"Boundaries": boundaries, "Segmentation": labels}})
    return root


def write_voc(root: Path, train: str = "ae", val: str = "bd") -> Path:
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / name).mkdir(parents=True)
    for name, items in (("train", train), ("val", val)):
        (root / "ImageSets/Segmentation" / f"{name}.txt").write_text("".join(f"{item}\n" for item in items))
        for item in items:
            Image.fromarray(np.full((12, 16, 3), 90, np.uint8)).save(root / "JPEGImages" / f"{item}.jpg")
            Image.fromarray(np.full((12, 16), 5, np.uint8)).save(root / "SegmentationClass" / f"{item}.png")
    return root


def largest(source: sources.Source, split: str) -> list[int]:
    return [int(source[split][index]["label_map"].max()) for index in range(len(source[split]))]


def test_label_maps_are_those_of_the_matlab_files(tmp_path: Path):
    source = sources.load(f"sbd:{write_sbd(tmp_path)}", "label_maps")
    assert source.num_classes == 21 and source.class_names[3] == "bird"
    assert largest(source, "train") == [3, 7, 20] and largest(source, "val") == [1]
    labels = source["train"][0]["label_map"]
    assert labels.dtype == np.uint8 and (labels == 3).sum() == 24 and (labels[2:6, 3:9] == 3).all()
    assert source["train"].extent(0) == (16, 12)


def test_with_voc_its_validation_images_are_tested_and_never_trained_on(tmp_path: Path):
    spec = f"sbd:{write_sbd(tmp_path / 'sbd')},voc={write_voc(tmp_path / 'voc')}"
    source = sources.load(spec, "label_maps")
    names = {split: [Path(source[split].name(i)).stem for i in range(len(source[split]))] for split in source.splits}
    assert names["train"] == ["a", "b", "c"] and names["val"] == ["d"]  # b is a training image of SBD
    assert names["trainaug"] == ["a", "e", "c"] and largest(source, "trainaug") == [5, 5, 20]


def test_what_is_missing_is_named(tmp_path: Path):
    with pytest.raises(ValueError, match="expected DIR/img"):
        sources.load(f"sbd:{tmp_path}", "label_maps")
    with pytest.raises(ValueError, match="x.mat: No such file"):
        sbd.read_label_map(str(tmp_path / "x.mat"))
    (tmp_path / "y.mat").write_bytes(b"not MATLAB" * 50)
    with pytest.raises(ValueError, match="y.mat: not a MATLAB file"):
        sbd.read_label_map(str(tmp_path / "y.mat"))


def test_a_list_in_another_encoding_is_named(tmp_path: Path):
    (write_sbd(tmp_path) / "benchmark_RELEASE/dataset/val.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(ValueError, match=r"val\.txt: not a text file in UTF-8"):
        sources.load(f"sbd:{tmp_path}", "label_maps")
