"""Small sets in the layouts of the papers' own, on which presets can be tried: images of each set's usual size, drawn.

`make(root)` writes, below one folder, what the presets' `--data` name: VOCdevkit, coco, camvid, cells, and array_record
files of TFDS in tensorflow_datasets; and imagenet, the same kind of images in folders of classes.
"""

import json
import pathlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw
from scipy import io, spatial

TRAIN, HELD_OUT = 16, 8  # images in the splits of sets for whole images
SCENES = 6  # images in each split of sets with objects
CLASSES = 4  # of a thousand that occur in ImageNet's place, so that each has several images
_DONE = ".complete"


class Thing(NamedTuple):
    """A drawn object."""

    label: int  # from 1
    corners: list[tuple[float, float]]  # of its outline, (x, y) in pixels

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Return (x0, y0, x1, y1) in whole pixels."""
        x, y = np.array(self.corners).T
        return int(x.min()), int(y.min()), int(np.ceil(x.max())), int(np.ceil(y.max()))


def make(root: pathlib.Path) -> pathlib.Path:
    """Write the sets that are not there yet below `root`, and return it."""
    writers: dict[str, Callable[[pathlib.Path], None]] = {
        "VOCdevkit/VOC2007": lambda folder: voc(folder, {"train": 0, "val": 1, "trainval": None, "test": 2}),
        "VOCdevkit/VOC2012": lambda folder: voc(folder, {"train": 3, "val": 4, "trainval": None}),
        "VOCdevkit/VOC2011": lambda folder: voc(folder, {"train": 5, "val": 6, "trainval": None}),
        "benchmark_RELEASE": boundaries,
        "coco": coco,
        "camvid": camvid,
        "cells": cells,
        "imagenet": class_folders,
        "tensorflow_datasets": prepare_tfds,
    }
    for name, write in writers.items():
        folder = root / name
        if not (folder / _DONE).exists():
            folder.mkdir(parents=True, exist_ok=True)
            write(folder)
            (folder / _DONE).touch()
    return root


def scene(seed: int, width: int, height: int, labels: int) -> tuple[Image.Image, list[Thing]]:
    """Draw two objects on a smooth ground.

    Args:
        seed: of everything random.
        width: of the image in pixels.
        height: of the image in pixels.
        labels: number of kinds of objects, each of a colour of its own.

    Returns:
        The image and its objects; the second lies on top.
    """
    rng = np.random.default_rng(seed)
    ground = Image.fromarray(rng.integers(60, 200, (6, 8, 3), np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    drawing, things = ImageDraw.Draw(ground), []
    for side in (0, 1):
        radius = rng.uniform(0.12, 0.22, 2) * min(width, height)
        center = np.array([width * (0.27 + 0.45 * side), height / 2]) + rng.uniform(-0.04, 0.04, 2) * width
        angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        outline = center + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        thing = Thing(int(rng.integers(labels)) + 1, [(float(x), float(y)) for x, y in outline])
        drawing.polygon(thing.corners, fill=_colour(thing.label))
        things.append(thing)
    return ground, things


def label_map(size: tuple[int, int], things: list[Thing], *, border: int | None = None) -> Image.Image:
    """Draw the class of each pixel, 0 for the ground, with a line of `border` around each object."""
    labels = Image.new("L", size)
    for thing in things:
        ImageDraw.Draw(labels).polygon(thing.corners, fill=thing.label, outline=border, width=3)
    return labels


def voc(folder: pathlib.Path, splits: dict[str, int | None]) -> None:
    """Write Annotations, JPEGImages, SegmentationClass and ImageSets.

    Args:
        folder: of the year.
        splits: for each list a number that its images are drawn from; None for the union of train and val.
    """
    from jaxvision.data.objects import VOC_NAMES

    for name in ("Annotations", "JPEGImages", "SegmentationClass", "ImageSets/Main", "ImageSets/Segmentation"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    lists: dict[str, list[str]] = {}
    for split, number in splits.items():
        if number is None:
            lists[split] = [*lists["train"], *lists["val"]]
            continue
        lists[split] = [f"{folder.name[3:]}_{number}{index:05d}" for index in range(SCENES)]
        for index, name in enumerate(lists[split]):
            size = (500, 375) if index % 3 else (375, 500)
            image, things = scene(1000 * number + index, *size, len(VOC_NAMES))
            image.save(folder / "JPEGImages" / f"{name}.jpg", quality=90)
            label_map(size, things, border=255).save(folder / "SegmentationClass" / f"{name}.png")
            (folder / "Annotations" / f"{name}.xml").write_text(_voc_xml(name, size, things, VOC_NAMES))
    for split, names in lists.items():
        for purpose in ("Main", "Segmentation"):
            (folder / "ImageSets" / purpose / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))


def _voc_xml(name: str, size: tuple[int, int], things: list[Thing], names: tuple[str, ...]) -> str:
    objects = ""
    for thing in things:
        corners = zip(("xmin", "ymin", "xmax", "ymax"), thing.box, strict=True)
        box = "".join(f"<{corner}>{max(1, value)}</{corner}>" for corner, value in corners)
        objects += (
            f"<object><name>{names[thing.label - 1]}</name><difficult>0</difficult><bndbox>{box}</bndbox></object>"
        )
    width, height = size
    return (
        f"<annotation><filename>{name}.jpg</filename><size><width>{width}</width><height>{height}</height>"
        f"<depth>3</depth></size>{objects}</annotation>"
    )


def boundaries(folder: pathlib.Path) -> None:
    """Write dataset/img, dataset/cls, and the lists train.txt and val.txt, as SBD has them, with MATLAB's files."""
    for number, split in enumerate(("train", "val")):
        names = [f"2008_{number}{index:05d}" for index in range(SCENES)]
        for name in ("img", "cls"):
            (folder / "dataset" / name).mkdir(parents=True, exist_ok=True)
        for index, name in enumerate(names):
            size = (500, 375) if index % 3 else (375, 500)
            image, things = scene(7000 + 1000 * number + index, *size, 20)
            image.save(folder / "dataset" / "img" / f"{name}.jpg", quality=90)
            labels = np.asarray(label_map(size, things))
            io.savemat(folder / "dataset" / "cls" / f"{name}.mat", {"GTcls": {"Segmentation": labels}})
        (folder / "dataset" / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))


def coco(folder: pathlib.Path) -> None:
    """Write annotations/instances_train2017.json and _val2017.json, and the images beside."""
    from jaxvision.data.coco_names import COCO_ID_OF_LABEL, COCO_NAMES

    (folder / "annotations").mkdir(exist_ok=True)
    categories = [{"id": COCO_ID_OF_LABEL[label], "name": name} for label, name in enumerate(COCO_NAMES, 1)]
    for number, split in enumerate(("train2017", "val2017")):
        (folder / split).mkdir(exist_ok=True)
        images, annotations = [], []
        for index in range(SCENES):
            size = (640, 480) if index % 3 else (480, 640)
            image, things = scene(10_000 + 1000 * number + index, *size, len(COCO_NAMES))
            images.append({"id": index + 1, "file_name": f"{index + 1:012d}.jpg", "width": size[0], "height": size[1]})
            image.save(folder / split / f"{index + 1:012d}.jpg", quality=90)
            for thing in things:
                x0, y0, x1, y1 = thing.box
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": index + 1,
                        "category_id": COCO_ID_OF_LABEL[thing.label],
                        "bbox": [x0, y0, x1 - x0, y1 - y0],
                        "area": (x1 - x0) * (y1 - y0),
                        "iscrowd": 0,
                        "segmentation": [[value for corner in thing.corners for value in corner]],
                    }
                )
        content = {"images": images, "annotations": annotations, "categories": categories}
        (folder / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))


def camvid(folder: pathlib.Path) -> None:
    """Write train, trainannot, val and valannot as SegNet's tutorial has them: 11 classes, and 11 for no class."""
    for number, split in enumerate(("train", "val")):
        for name in (split, f"{split}annot"):
            (folder / name).mkdir(exist_ok=True)
        for index in range(SCENES):
            image, things = scene(20_000 + 1000 * number + index, 480, 360, 11)
            image.save(folder / split / f"{index:04d}.png")
            label_map(image.size, things).save(folder / f"{split}annot" / f"{index:04d}.png")


def cells(folder: pathlib.Path) -> None:
    """Write sections of 512 × 512 grey pixels with their membranes, as images and labels of train and val."""
    for number, split in enumerate(("train", "val")):
        for name in ("images", "labels"):
            (folder / split / name).mkdir(parents=True, exist_ok=True)
        for index in range(SCENES):
            rng = np.random.default_rng(30_000 + 1000 * number + index)
            centers = rng.uniform(0, 512, (60, 2))
            grid = np.stack(np.meshgrid(np.arange(512), np.arange(512), indexing="ij"), axis=-1)
            distances, _ = spatial.cKDTree(centers).query(grid, k=2)
            inside = distances[..., 1] - distances[..., 0] > 4
            pixels = np.where(inside, 170, 60) + rng.normal(0, 15, inside.shape)
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(
                folder / split / "images" / f"{index:02d}.png"
            )
            Image.fromarray(inside.astype(np.uint8)).save(folder / split / "labels" / f"{index:02d}.png")


def class_folders(folder: pathlib.Path) -> None:
    """Write train/CLASS and val/CLASS with JPEGs."""
    for split, count in (("train", TRAIN), ("val", HELD_OUT)):
        for index, image in enumerate(_whole_images(split, count, (500, 375))):
            below = folder / split / f"n{index % CLASSES:08d}"
            below.mkdir(parents=True, exist_ok=True)
            image.save(below / f"{index:05d}.JPEG", quality=90)


def prepare_tfds(folder: pathlib.Path) -> None:
    """Write imagenet2012, cifar10, celeb_a and oxford_iiit_pet as TFDS itself would, as array_record files."""
    from tensorflow_datasets import features

    names = [f"n{number:08d}" for number in range(1000)]
    digits = [str(number) for number in range(10)]
    label = features.ClassLabel(names=names)
    _prepare(folder, "imagenet2012", (500, 375), ("train", "validation"), {"label": label})
    _prepare(folder, "cifar10", (32, 32), ("train", "test"), {"label": features.ClassLabel(names=digits)})
    _prepare(folder, "celeb_a", (178, 218), ("train", "validation", "test"), {})
    mask = features.Image(shape=(None, None, 1), use_colormap=True)
    breeds = features.ClassLabel(names=[f"breed {number}" for number in range(37)])
    _prepare(folder, "oxford_iiit_pet", (500, 375), ("train", "test"), {"label": breeds, "segmentation_mask": mask})


def _prepare(folder: pathlib.Path, name: str, size: tuple[int, int], splits: tuple[str, ...], content: dict) -> None:
    """Write one set of TFDS, whose images are those of `_whole_images`, with the features `content`."""
    import tensorflow_datasets as tfds

    drawn = folder / "drawn" / name  # TFDS copies the bytes of files; arrays it would encode with TensorFlow
    ending = "png" if size[0] < 100 else "jpg"

    def examples(split: str) -> Iterator[tuple[int, dict]]:
        (drawn / split).mkdir(parents=True)
        for index, image in enumerate(_whole_images(f"{name}/{split}", TRAIN if split == "train" else HELD_OUT, size)):
            file, mask = drawn / split / f"{index}.{ending}", drawn / split / f"{index}-mask.png"
            image.save(file)
            _trimap(size).save(mask)
            given = {"label": index % CLASSES, "segmentation_mask": str(mask)}
            yield index, {"image": str(file), **{key: given[key] for key in content}}

    image = tfds.features.Image(shape=(None, None, 3), encoding_format=ending.replace("jpg", "jpeg"))
    body = {
        "VERSION": tfds.core.Version("1.0.0"),
        "name": name,
        "_info": lambda self: tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict({"image": image, **content})
        ),
        "_split_generators": lambda self, _: {split: self._generate_examples(split) for split in splits},
        "_generate_examples": lambda self, split: examples(split),
    }
    kind = type(name.title(), (tfds.core.GeneratorBasedBuilder,), body, skip_registration=True)
    kind(data_dir=str(folder), file_format="array_record").download_and_prepare()


def _trimap(size: tuple[int, int]) -> Image.Image:
    """Draw a pet (1) with its border (3) in the middle of the ground (2)."""
    labels = Image.new("L", size, 2)
    for share, label in ((4, 3), (3, 1)):
        corners = [(side // share, side - side // share) for side in size]
        ImageDraw.Draw(labels).rectangle([corners[0][0], corners[1][0], corners[0][1], corners[1][1]], fill=label)
    return labels


def _whole_images(split: str, count: int, size: tuple[int, int]) -> Iterator[Image.Image]:
    start = 40_000 + sum(map(ord, split))
    return (scene(start + index, *size, CLASSES)[0] for index in range(count))


def _colour(label: int) -> tuple[int, int, int]:
    """Return a colour of a label's own."""
    red, green, blue = np.random.default_rng(label).integers(0, 256, 3)
    return int(red), int(green), int(blue)
