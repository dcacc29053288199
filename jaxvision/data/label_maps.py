"""Images with the class of every pixel: `masks:DIR`, and the segmentation part of VOC and of Oxford-IIIT Pet.

Records hold image uint8 [H, W, 3] and label_map uint8 [H, W], in which 255 marks pixels that losses and metrics ignore.
"""

import dataclasses
import pathlib
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from jaxvision.data import decode, objects, specs, tfds, voc
from jaxvision.data.folder import EXTENSIONS, is_image
from jaxvision.data.objects import VOC_NAMES
from jaxvision.data.records import Record, Records, Source, label_names
from jaxvision.data.splits import source_of

UNLABELLED = 255
_LAYOUT = "expected DIR/train/images and DIR/train/labels (and val), or DIR/images and DIR/labels, names alike"
_TRIMAP = ("pet", "background", "border")
_SPLITS = ("train", "val", "test", "trainval")


@dataclasses.dataclass(frozen=True)
class LabelledImages:
    """Records of image files, each with a PNG whose values are classes."""

    images: tuple[str, ...]  # paths
    labels: tuple[str, ...]  # paths of the PNGs
    num_classes: int  # a larger value in a PNG is an error
    ignored: int = UNLABELLED  # another value of pixels that are ignored; it becomes 255

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Record:
        return objects.decoded(self.encoded(index))

    def encoded(self, index: int) -> Record:
        """Return record `index` with its image undecoded."""
        labels = voc.label_map(self.labels[index])
        labels[labels == self.ignored] = UNLABELLED
        return _record(
            decode.Encoded(self.images[index]), labels, self.num_classes, self.images[index], self.labels[index]
        )

    def name(self, index: int) -> str:
        """Return the path of an image."""
        return self.images[index]

    def extent(self, index: int) -> tuple[int, int]:
        """Return (width, height) of an image in pixels, from its header."""
        return decode.header_extent(self.images[index])


@dataclasses.dataclass(frozen=True)
class TfdsTrimaps:
    """Records of Oxford-IIIT Pet as TFDS prepares it; classes are pet (0), background (1) and border (2)."""

    examples: Sequence[Any]  # one split of the prepared set
    source: str  # name of set and split, for error messages

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Record:
        return objects.decoded(self.encoded(index))

    def encoded(self, index: int) -> Record:
        """Return record `index` with its image undecoded."""
        example, name = self.examples[index], self.name(index)
        # 1, 2, 3 in the files; what is 0 there, and no class, wraps to 255.
        labels = voc.label_map(bytes(example["segmentation_mask"]), name) - np.uint8(1)
        return _record(decode.Encoded(bytes(example["image"]), name), labels, len(_TRIMAP), name, name)

    def name(self, index: int) -> str:
        """Return the set, split and position of a record."""
        return f"{self.source}[{index}]"


def load_masks(spec: str) -> Source:
    """Read `masks:DIR`: DIR/train and DIR/val (or DIR alone), each with images/ and labels/ of the same names.

    Label maps are 8-bit or palette PNGs in which 255, and with `masks:DIR,ignore=N` also N, marks ignored pixels.
    DIR/classes.txt names the classes, one a line; without it they are "0", "1", … up to the largest label in the PNGs.

    Raises ValueError where the layout is another, an image has no label map, or there are fewer than two classes.
    """
    root, options = specs.path_and_options(spec, ("ignore",))
    ignored = _label(spec, options.get("ignore", str(UNLABELLED)))
    folders = {split: root / split for split in _SPLITS if (root / split / "images").is_dir()}
    if not folders and (root / "images").is_dir():
        folders = {"train": root}
    if "train" not in folders:
        raise ValueError(f"--data={spec}: no images to train on under {str(root)!r}; {_LAYOUT}")
    pairs = {split: _pairs(spec, folder) for split, folder in folders.items()}
    listed, files = root / "classes.txt", [file for _, labels in pairs.values() for file in labels]
    names = _listed(listed) if listed.is_file() else _numbered(spec, files, ignored)
    splits: dict[str, Records] = {
        split: LabelledImages(images, labels, len(names), ignored) for split, (images, labels) in pairs.items()
    }
    return source_of(splits, names)


def load_voc(spec: str) -> Source:
    """Read `voc:DIR`: the images listed in ImageSets/Segmentation, with their PNGs in SegmentationClass; 21 classes.

    Raises ValueError where the layout is another or there is no training list.
    """
    root = voc.root_of(spec, specs.path(spec))
    splits: dict[str, Records] = {}
    for split in _SPLITS:
        listing = root / "ImageSets" / "Segmentation" / f"{split}.txt"
        items = listing.read_text().split() if listing.is_file() else []
        images = tuple(str(root / "JPEGImages" / f"{item}.jpg") for item in items)
        labels = tuple(str(root / "SegmentationClass" / f"{item}.png") for item in items)
        if items:
            splits[split] = LabelledImages(images, labels, 1 + len(VOC_NAMES))
    if "train" not in splits:
        raise ValueError(
            f"--data={spec}: no ImageSets/Segmentation/train.txt; for label maps of your own use masks:DIR"
        )
    return source_of(splits, ("background", *VOC_NAMES))


def load_pets(spec: str) -> Source:
    """Read `tfds:oxford_iiit_pet`, the one set of TFDS whose label maps are known here; 3 classes.

    Raises ValueError for another set, or where it is not prepared (see `tfds.prepared`) or lacks label maps.
    """
    if specs.argument(spec).partition(":")[0] != "oxford_iiit_pet":
        raise ValueError(f"--data={spec}: its label maps are not known; of TFDS, use tfds:oxford_iiit_pet")
    builder, features = tfds.prepared(spec), ("image", "segmentation_mask")
    if missing := [feature for feature in features if feature not in builder.info.features]:
        raise ValueError(f"--data={spec}: has no {missing[0]}, only {', '.join(builder.info.features)}")
    splits: dict[str, Records] = {
        split: TfdsTrimaps(examples, f"{spec}/{split}") for split, examples in tfds.splits_of(builder, features).items()
    }
    return source_of(splits, _TRIMAP)


def _record(
    image: decode.Encoded, labels: UInt8[np.ndarray, "H W"], num_classes: int, image_name: str, labels_name: str
) -> Record:
    """Check that image and label map have one size and that every label has a class; return the record."""
    height, width = labels.shape
    if (width, height) != (image.width, image.height):
        turned = " (it ignores the image's EXIF orientation)" if (height, width) == (image.width, image.height) else ""
        raise ValueError(
            f"{labels_name}: the label map is {width}x{height}, but {image_name} is "
            f"{image.width}x{image.height}{turned}"
        )
    largest = int((labels + np.uint8(1)).max()) - 1  # 255 wraps to 0
    if largest >= num_classes:
        raise ValueError(
            f"{labels_name}: has label {largest}, but there are {num_classes} classes, from 0; "
            "mark what does not count by 255"
        )
    return {"image": image, "label_map": labels}


def _label(spec: str, text: str) -> int:
    if not text.isdecimal() or int(text) > UNLABELLED:
        raise ValueError(f"--data={spec}: ignore={text}: give one label, 0 to {UNLABELLED}")
    return int(text)


def _pairs(spec: str, folder: pathlib.Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the images of a folder and, in the same order, their label maps."""
    images, labels = _files(folder / "images", EXTENSIONS), _files(folder / "labels", {".png"})
    if not images:
        raise ValueError(f"--data={spec}: no images in {str(folder / 'images')!r}; {_LAYOUT}")
    last = {path.stem: path for path in images}
    if twice := [path for path in images if last[path.stem] != path]:
        raise ValueError(f"--data={spec}: {twice[0]} and {last[twice[0].stem]} would share a label map; rename one")
    named = {path.stem: str(path) for path in labels}
    if missing := [path for path in images if path.stem not in named]:
        expected = folder / "labels" / f"{missing[0].stem}.png"
        raise ValueError(f"--data={spec}: {missing[0]} has no {expected}; {len(missing)} of {len(images)} have none")
    return tuple(map(str, images)), tuple(named[path.stem] for path in images)


def _files(folder: pathlib.Path, extensions: Collection[str]) -> list[pathlib.Path]:
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in paths if is_image(path.name) and path.suffix.lower() in extensions]


def _listed(file: pathlib.Path) -> tuple[str, ...]:
    """Read class names from a file with one name a line."""
    names = tuple(line.strip() for line in file.read_text("utf-8-sig").splitlines() if line.strip())
    if not 2 <= len(names) <= UNLABELLED or len(set(names)) < len(names):
        raise ValueError(f"{file}: has {len(names)} names; it needs 2 to {UNLABELLED}, no two alike, one a line")
    return names


def _numbered(spec: str, files: Sequence[str], ignored: int) -> tuple[str, ...]:
    """Return "0", "1", … up to the largest label; files that cannot be read fail when their record is read."""
    largest, reason = -1, ""
    # A bar only where it takes long, and only on a terminal.
    for file in tqdm(files, "largest label", leave=False, delay=3, disable=None, unit="map"):
        try:
            counts = np.bincount(voc.label_map(file).ravel(), minlength=UNLABELLED + 1)
        except ValueError as error:
            reason = reason or str(error)
            continue
        counts[[ignored, UNLABELLED]] = 0
        largest = max(largest, int(np.flatnonzero(counts).max(initial=-1)))
    if largest < 0 and reason:
        raise ValueError(reason)
    if largest < 1:
        raise ValueError(
            f"--data={spec}: the label maps hold one class at most; 255 does not count, so write 0 and 1, not 0 and 255"
        )
    return label_names(largest + 1)
