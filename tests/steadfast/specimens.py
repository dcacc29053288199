"""Small whole files of every format that is read, for the fuzzer to damage, and the way in which each is read."""

import csv
import gzip
import importlib
import io
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from PIL import Image

from jaxvision.weights import own
from tests.weights import caffe_bytes
from tests.weights.torch_bytes import saved, saved_long_ago

WIDTH, HEIGHT = 12, 10
NAMES = ("a", "b", "c", "d")
Read = Callable[[Path], Iterator[Any]]
"""Reads what lies in a folder and yields what it holds, record by record, or the ValueError of a record."""


class Specimen(NamedTuple):
    """A set of files and its reader."""

    write: Callable[[Path], list[Path]]  # writes it into a folder; returns the files to damage
    read: Read


def picture(seed: int, mode: str = "RGB", form: str = "PNG") -> bytes:
    """An image of random pixels."""
    channels = len(mode) if mode in ("RGB", "RGBA") else 1
    values = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, channels), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(values if channels > 1 else values[..., 0]).save(stream, form)
    return stream.getvalue()


def labels(seed: int, classes: int = 3) -> bytes:
    """A label map."""
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, classes, (HEIGHT, WIDTH), np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def put(path: Path, content: str | bytes) -> Path:
    """Write a file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def source(module: str, spec: str, *, load: str = "load") -> Read:
    """The reader of a kind of --data; `spec` has {} for the folder."""

    def read(folder: Path) -> Iterator[Any]:
        opened = getattr(importlib.import_module(f"jaxvision.data.{module}"), load)(spec.format(folder))
        for records in opened.splits.values():
            for index in range(len(records)):
                try:
                    record = records[index]
                except (ValueError, OSError) as error:  # what the pipeline catches, names and counts
                    yield ValueError(f"{records.name(index)}: {error}")
                    continue
                yield {**record, "name": records.name(index), "num_classes": opened.num_classes}

    return read


def weights(module: str, name: str) -> Read:
    """The reader of a kind of --init_from."""

    def read(folder: Path) -> Iterator[Any]:
        yield importlib.import_module(f"jaxvision.weights.{module}").read(str(folder / name))

    return read


def _folder(root: Path) -> list[Path]:
    kinds = {"a.png": ("RGB", "PNG"), "b.jpg": ("RGB", "JPEG"), "c.gif": ("L", "GIF"), "d.webp": ("RGBA", "WEBP")}
    kinds |= {"e.bmp": ("RGB", "BMP"), "f.tiff": ("RGB", "TIFF"), "g.ppm": ("RGB", "PPM"), "h.png": ("RGBA", "PNG")}
    files = []
    for split in ("train", "val"):
        for i, (name, (mode, form)) in enumerate(kinds.items()):
            files.append(put(root / split / "cats" / name, picture(i, mode, form)))
            put(root / split / "dogs" / f"{i}.png", picture(100 + i))
    return files


def _coco(root: Path) -> list[Path]:
    for i, name in enumerate(NAMES):
        put(root / "images" / f"{name}.png", picture(i))
    runs = {"size": [HEIGHT, WIDTH], "counts": [50, 30, 40]}
    shapes = [[[2, 2, 8, 2, 8, 8, 2, 8]], runs, {**runs, "counts": "b1n0X1"}, None]
    document = {
        "images": [
            {"id": i, "file_name": f"{name}.png", "width": WIDTH, "height": HEIGHT} for i, name in enumerate(NAMES)
        ],
        "categories": [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}],
        "annotations": [
            {"id": i, "image_id": i % 4, "category_id": (3, 7)[i % 2], "bbox": [1, 2, 5.5, 6], "area": 33, "iscrowd": 0}
            | ({"segmentation": shapes[i % 4]} if shapes[i % 4] else {})
            for i in range(8)
        ],
    }
    return [put(root / "all.json", json.dumps(document))] * 7 + [root / "images" / "a.png"]


def _voc(root: Path) -> list[Path]:
    files = []
    for i, name in enumerate(NAMES):
        put(root / "JPEGImages" / f"{name}.png", picture(i))
        box = "<bndbox><xmin>2</xmin><ymin>3</ymin><xmax>7.5</xmax><ymax>9</ymax></bndbox>"
        things = f"<object><name>cat</name><difficult>0</difficult>{box}</object><object><name>dog</name>{box}</object>"
        size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
        content = f'<?xml version="1.0" encoding="utf-8"?>\n<annotation><filename>{name}.png</filename>{size}{things}'
        files.append(put(root / "Annotations" / f"{name}.xml", f"{content}</annotation>"))
    put(root / "ImageSets" / "Main" / "val.txt", "c\nd\n")
    return [files[0], files[0], files[0], put(root / "ImageSets" / "Main" / "train.txt", "a 1\nb -1\n")]


def _masks(root: Path) -> list[Path]:
    for i, name in enumerate(NAMES):
        put(root / "images" / f"{name}.png", picture(i))
        put(root / "labels" / f"{name}.png", labels(i))
    return [root / "labels" / "a.png"] * 2 + [put(root / "classes.txt", "sky\nroad\ncar\n")]


def _colours(root: Path) -> list[Path]:
    for i, name in enumerate(NAMES):
        put(root / "JPEGImages" / f"{name}.png", picture(i))
        values = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0]], np.uint8)
        stream = io.BytesIO()
        Image.fromarray(values[np.random.default_rng(i).integers(0, 3, (HEIGHT, WIDTH))]).save(stream, "PNG")
        put(root / "SegmentationClass" / f"{name}.png", stream.getvalue())
    put(root / "ImageSets" / "Segmentation" / "train.txt", "a\nb\n")
    put(root / "ImageSets" / "Segmentation" / "val.txt", "c\nd\n")
    names = put(root / "labelmap.txt", "# label:color_rgb:parts:actions\nsky:0,0,0::\nroad:128,0,0::\ncar:0,128,0::\n")
    return [names, root / "SegmentationClass" / "a.png"]


def _idx(root: Path, end: str = "") -> list[Path]:
    pack = gzip.compress if end else bytes
    values = np.random.default_rng(0).integers(0, 256, (20, HEIGHT, WIDTH), np.uint8)
    images = bytes((0, 0, 8, 3)) + struct.pack(">3I", *values.shape) + values.tobytes()
    classes = bytes((0, 0, 8, 1)) + struct.pack(">I", 20) + bytes(range(10)) * 2
    return [
        put(root / f"train-images-idx3-ubyte{end}", pack(images)),
        put(root / f"train-labels-idx1-ubyte{end}", pack(classes)),
    ]


def _yolo(root: Path) -> list[Path]:
    for split, names in (("train", "ab"), ("val", "cd")):
        for i, name in enumerate(names):
            put(root / "images" / split / f"{name}.png", picture(i))
            put(root / "labels" / split / f"{name}.txt", "0 0.5 0.5 0.4 0.4\n1 0.1 0.1 0.9 0.1 0.9 0.9 0.1 0.9\n")
    described = put(root / "data.yaml", "path: .\ntrain: images/train\nval: images/val\nnames:\n  0: cat\n  1: dog\n")
    return [described, root / "labels" / "train" / "a.txt"]


def _csv(root: Path) -> list[Path]:
    files = []
    for split, names in (("train", "ab"), ("val", "cd")):
        text = io.StringIO()
        rows = csv.writer(text)
        rows.writerow(("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"))
        for i, name in enumerate(names):
            put(root / split / f"{name}.png", picture(i))
            rows.writerow((f"{name}.png", WIDTH, HEIGHT, "cat", 1, 2, 8, 9))
            rows.writerow((f"{name}.png", WIDTH, HEIGHT, "dog", 3.5, 2, 6, 7))
        files.append(put(root / f"{split}.csv", text.getvalue()))
    return files


def _labelme(root: Path) -> list[Path]:
    files = []
    for i, name in enumerate(NAMES):
        put(root / f"{name}.png", picture(i))
        shapes = [
            {"label": "cat", "points": [[1, 1], [8, 1], [8, 8]], "shape_type": "polygon", "group_id": None},
            {"label": "dog", "points": [[2, 2], [9, 9.5]], "shape_type": "rectangle", "group_id": 1},
            {"label": "cat", "points": [[5, 5], [7, 5]], "shape_type": "circle"},
        ]
        document = {"shapes": shapes, "imagePath": f"{name}.png", "imageWidth": WIDTH, "imageHeight": HEIGHT}
        files.append(put(root / f"{name}.json", json.dumps(document)))
    return files[:1]


ARRAYS = {
    "features.0.weight": np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32),
    "features.0.bias": np.zeros(4, np.float32),
    "classifier.1.weight": np.ones((2, 5), np.float32),
    "count": np.array(3, np.int64),
}


def _pth(root: Path) -> list[Path]:
    return [saved(root / "w.pth", ARRAYS)]


def _old_pth(root: Path) -> list[Path]:
    return [saved_long_ago(root / "w.pth", ARRAYS)]


def _npz(root: Path) -> list[Path]:
    np.savez(root / "w.npz", **ARRAYS)
    return [root / "w.npz"]


def _packed_npz(root: Path) -> list[Path]:
    np.savez_compressed(root / "w.npz", **ARRAYS)
    return [root / "w.npz"]


def _safetensors(root: Path) -> list[Path]:
    header, place = {}, 0
    for name, value in ARRAYS.items():
        kind = {"float32": "F32", "int64": "I64"}[value.dtype.name]
        header[name] = {"dtype": kind, "shape": value.shape, "data_offsets": [place, place + value.nbytes]}
        place += value.nbytes
    text = json.dumps(header).encode()
    content = struct.pack("<Q", len(text)) + text + b"".join(value.tobytes() for value in ARRAYS.values())
    return [put(root / "w.safetensors", content)]


def _own(root: Path) -> list[Path]:
    learned = {"class_names": ["a", "b"], "mean": [1, 2, 3], "std": [4, 5, 6]}
    run = {"experiment": "a/b", "config": {}, "learned": learned, "command": "x"}
    own.write(root / "run.safetensors", {"params": {"fc": {"kernel": np.ones((3, 2), np.float32)}}}, run)
    return [root / "run.safetensors"]


def _h5(root: Path) -> list[Path]:
    rng, before = np.random.default_rng(0), 3
    with h5py.File(root / "w.h5", "w") as file:
        for block, count in enumerate((2, 2, 3, 3, 3), start=1):
            for i in range(count):
                place = f"block{block}/layers/conv2d{f'_{i}' if i else ''}/vars"
                file[f"{place}/0"] = rng.normal(size=(3, 3, before, 2)).astype(np.float32)
                file[f"{place}/1"] = np.zeros(2, np.float32)
                before = 2
    return [root / "w.h5"]


def _darknet(root: Path) -> list[Path]:
    return [put(root / "w.weights", struct.pack("<3iq", 0, 2, 0, 100) + np.ones(1000, np.float32).tobytes())]


def _caffe(root: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    layers = {f"conv{i}": (rng.normal(size=(2, 3 if i == 1 else 2, 3, 3)), np.zeros(2)) for i in range(1, 6)}
    layers |= {"fc6": (rng.normal(size=(3, 72)), np.zeros(3)), "fc8": (rng.normal(size=(4, 3)), np.zeros(4))}
    return [caffe_bytes.saved(root / "w.caffemodel", layers)]


SPECIMENS = {
    "folder": Specimen(_folder, source("folder", "folder:{}")),
    "coco": Specimen(_coco, source("coco", "coco:{}")),
    "voc": Specimen(_voc, source("voc", "voc:{}")),
    "voc masks": Specimen(_colours, source("voc_masks", "voc:{}")),
    "masks": Specimen(_masks, source("label_maps", "masks:{}")),
    "idx": Specimen(_idx, source("idx", "idx:{}")),
    "idx.gz": Specimen(lambda root: _idx(root, ".gz"), source("idx", "idx:{}")),
    "yolo": Specimen(_yolo, source("yolo", "yolo:{}")),
    "csv": Specimen(_csv, source("csv_boxes", "csv:{}")),
    "labelme": Specimen(_labelme, source("labelme", "labelme:{}")),
    "labelme maps": Specimen(_labelme, source("labelme", "labelme:{}", load="load_label_maps")),
    "pth": Specimen(_pth, weights("state_dict", "w.pth")),
    "old pth": Specimen(_old_pth, weights("state_dict", "w.pth")),
    "npz": Specimen(_npz, weights("state_dict", "w.npz")),
    "packed npz": Specimen(_packed_npz, weights("state_dict", "w.npz")),
    "safetensors": Specimen(_safetensors, weights("state_dict", "w.safetensors")),
    "jaxvision": Specimen(_own, weights("own", "run.safetensors")),
    "h5": Specimen(_h5, weights("hed", "w.h5")),
    "caffe": Specimen(_caffe, weights("caffe", "w.caffemodel")),
    "darknet": Specimen(_darknet, weights("darknet", "w.weights")),
}
