"""Folders of classes, the files of MNIST, and images without labels."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jaxvision.data.classes import by_name
from jaxvision.data.crops import center_crop
from jaxvision.data.idx import FASHION_CLASSES
from jaxvision.data.inputs import Inputs
from jaxvision.data.records import Source
from jaxvision.data.splits import whole as whole_source
from tests.data.cases.case import Case, draw, sizes, text, whole
from tests.data.idx_test import write as write_idx


def tree(root: Path, *names: str) -> None:
    """Write images and texts; a text stands for a broken image where it is called like one, with ! in front."""
    for name in names:
        if name.startswith("!"):
            text(root / name[1:], "not an image")
        elif name.endswith((".png", ".jpg")):
            draw(root / name, 8, 8)
        else:
            text(root / name)


def each(folders: str, count: int = 3) -> list[str]:
    """`count` images in each of some folders."""
    return [f"{folder}/{number}.png" for folder in folders.split() for number in range(count)]


def linked(root: Path) -> None:
    tree(root, *each("a b"))
    (root / "again").symlink_to(root)


def classes(source: Source) -> list[str]:
    return list(source.class_names)


def both(source: Source) -> tuple[list[str], dict[str, int]]:
    return classes(source), sizes(source)


def learned(source: Source, names: str) -> list[str]:
    """The class of each image, by the names of a network that learned these classes, in their order."""
    found = whole(whole_source(by_name("folder:DIR", source, names.split())))
    return [names.split()[found[index]["label"]] for index in range(len(found))]


def trained(source: Source) -> int:
    """The rows of a batch that is larger than the set."""
    batches = Inputs().train(source["train"], center_crop(8, 8), 16)(0, 1)
    return len(batches.at(0)["image"])


def broken(source: Source) -> list[str]:
    """The images that a pass over the training images names."""
    with_errors = Inputs().evaluate(source["train"], center_crop(8, 8), 4)(0, 1)
    list(with_errors)
    return sorted(Path(name).parent.name + "/" + Path(name).name for name in with_errors.skipped)


def fashion(root: Path) -> None:
    (root / "FashionMNIST").mkdir()
    for prefix in ("train", "t10k"):
        write_idx(root / "FashionMNIST" / "raw", prefix)


def digit(root: Path) -> None:
    for label in range(10):
        (root / str(label)).mkdir()
        Image.fromarray(np.full((8, 8), 20 * label, np.uint8)).save(root / str(label) / "0.png")


def case(name: str, names: Any, look: Any = both, found: Any = None, needs: Any = "labels", **more: Any) -> Case:
    write = names if callable(names) else lambda root: tree(root, *names)
    return Case(name, "folder:{}", needs, write, look, found, **more)


AB = ["a", "b"]
SPLIT = [*each("train/a train/b"), *each("val/a")]
CASES = {
    "Folders: classes and splits": (
        case("one broken", [*each("train/a train/b val/a"), "!train/a/9.png"], broken, ["a/9.png"]),
        case("all broken", ["!a/1.png", "!b/1.png"], refused="no image of 1 in the split 'train' can be read"),
        case(
            "val broken",
            [*each("train/a train/b"), "!val/a/1.png"],
            refused="no image of 1 in the split 'val' can be read",
        ),
        case("a class called test", each("control test"), found=(["control", "test"], {"train": 5, "val": 1})),
        case("fewer than a batch", each("a b", 2), trained, 16),
        case(
            "__MACOSX and empty folders",
            [*each("a b"), "__MACOSX/a/1.txt", ".git/1.png", "c/notes.txt"],
            found=(AB, {"train": 5, "val": 1}),
            left_out="c: 1 files, none of them an image",
        ),
        case("one class", each("only"), refused="no classes to learn, since .* holds one class only, 'only'"),
        case("one class, for images alone", each("only"), found=(["only"], {"train": 2, "val": 1}), needs=None),
        case("flat", ["1.png", "2.png"], refused="no classes to learn, since .* holds images without folders"),
        case("flat, for images alone", ["1.png", "2.png"], found=([], {"train": 1, "val": 1}), needs=None),
        case(
            "training and testing",
            [*each("training/a training/b"), *each("testing/a")],
            found=(AB, {"train": 6, "test": 3, "val": 3}),
        ),
        case(
            "val of one class, flat test",
            [*SPLIT, "test/1.png"],
            found=(AB, {"train": 6, "val": 3}),
            left_out="test: a split without folders of classes",
        ),
        case("folders around it", [f"set/1/{name}" for name in each("a b")], found=(AB, {"train": 5, "val": 1})),
        case(
            "a format that is not read",
            [*each("a b"), "a/1.heic"],
            found=(AB, {"train": 5, "val": 1}),
            left_out=r"a/1\.heic: 1 images of formats that are not read",
        ),
        case("a link to itself", linked, found=(AB, {"train": 5, "val": 1})),
        case("a folder around it", each("set/a set/b"), found=(AB, {"train": 5, "val": 1})),
        case("another format's", [*each("images labels"), "labels/0.txt"], refused="this is "),
    ),
    "Folders: classes that a run learned": (
        case(
            "folders in another order", each("red green", 1), partial(learned, names="green blue red"), ["green", "red"]
        ),
        case(
            "some of the classes", each("green", 2), partial(learned, names="blue green red"), ["green"] * 2, needs=None
        ),
        case(
            "other names",
            each("a_red b_green"),
            partial(learned, names="green red"),
            refused="did not learn: a_red, b_green; it learned green, red",
        ),
        case("digits, all of them", digit, partial(learned, names="0 1 2 3 4 5 6 7 8 9"), list("0123456789")),
    ),
    "MNIST's files": (
        Case(
            "torchvision's folders",
            "idx:{}",
            "labels",
            fashion,
            lambda source: (source.class_names, sizes(source), source.mean[0]),
            (FASHION_CLASSES, {"train": 20, "test": 20, "val": 20}, 72.9),
        ),
        Case(
            "one damaged",
            "idx:{}",
            "labels",
            lambda root: text(root / "train-images-idx3-ubyte", "torn"),
            refused="needs train-images-idx3-ubyte",
        ),
    ),
}
