"""Label maps: their bits, palettes, modes and values, and where they lie."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jaxvision.data.classes import by_name
from jaxvision.data.records import Source
from tests.data.cases.case import Case, draw, sizes, text, whole
from tests.data.png import of_bits

FOUR = np.repeat(np.arange(4, dtype=np.uint8)[:, None], 6, axis=1)  # a row for each class
TWO = FOUR % 2


def write(root: Path, labels: Any, classes: str = "", folder: str = "", ending: str = ".png") -> None:
    """Write three images, and for each a label map: an image, its bytes, or its values."""
    for number in range(3):
        draw(root / folder / "images" / f"{number}.png", 6, 4)
        file = root / folder / "labels" / f"{number}{ending}"
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(labels, bytes):
            file.write_bytes(labels)
        else:
            (Image.fromarray(labels) if isinstance(labels, np.ndarray) else labels).save(file)
    if classes:
        text(root / "classes.txt", "\n".join(classes.split()))


def splits(root: Path, train: str, val: str, classes: str = "") -> None:
    for name in (train, val):
        write(root, FOUR % max(len(classes.split()), 2), classes, name)


def column(source: Source) -> list[int]:
    """The values of the first column of the first label map."""
    return whole(source)[0]["label_map"][:, 0].tolist()


def named(source: Source, learned: str) -> list[str]:
    """The classes of the first column, by the names of a network that learned these classes."""
    names = learned.split()
    return [names[label] for label in column(by_name("masks:DIR", source, names))]


def case(name: str, write: Any, look: Any = column, found: Any = (0, 1, 2, 3), **more: Any) -> Case:
    return Case(name, "masks:{}", "label_maps", write, look, list(found) if isinstance(found, tuple) else found, **more)


def grey(bits: int) -> np.ndarray:
    return FOUR % min(2**bits, 4)


def expected(bits: int) -> tuple[int, ...]:
    return (0, 1, 0, 1) if bits == 1 else (0, 1, 2, 3)


SEVERAL = Image.fromarray(np.dstack([FOUR, FOUR + 1, FOUR]))
CASES = {
    "Label maps: bits, palettes and modes": (
        *(
            case(f"grey, {bits} bits", partial(write, labels=of_bits(bits, 0, grey(bits))), found=expected(bits))
            for bits in (1, 2, 4, 8)
        ),
        *(
            case(
                f"grey, {bits} bits, names",
                partial(write, labels=of_bits(bits, 0, grey(bits)), classes="a b c d"),
                found=expected(bits),
            )
            for bits in (2, 8)
        ),
        case("grey, 1 bit, names", partial(write, labels=of_bits(1, 0, TWO), classes="a b"), found=(0, 1, 0, 1)),
        *(
            case(f"palette, {bits} bits", partial(write, labels=of_bits(bits, 3, grey(bits))), found=expected(bits))
            for bits in (1, 2, 4, 8)
        ),
        case("grey, 16 bits", partial(write, labels=FOUR.astype(np.uint16))),
        case("grey, 16 bits, names", partial(write, labels=FOUR.astype(np.uint16), classes="a b c d")),
        case("mode 1", partial(write, labels=Image.fromarray(TWO * 255).convert("1")), found=(0, 1, 0, 1)),
        case("mode I", partial(write, labels=FOUR.astype(np.int32), ending=".tif")),
        case("mode LA", partial(write, labels=Image.fromarray(FOUR).convert("LA"))),
        case("mode RGB", partial(write, labels=Image.fromarray(FOUR).convert("RGB"))),
        case("mode RGBA", partial(write, labels=Image.fromarray(FOUR).convert("RGBA"))),
        case("colours", partial(write, labels=SEVERAL), refused="mode RGB with colours"),
        case("mode F", partial(write, labels=FOUR.astype(np.float32), ending=".tif"), refused="mode F; a label map is"),
        case("JPEG", partial(write, labels=FOUR, ending=".jpg"), refused=r"labels/0\.jpg: JPEG does not keep labels"),
    ),
    "Label maps: values": (
        case("0 and 255", partial(write, labels=TWO * 255), found=(0, 1, 0, 1)),
        case("0 and 255, names", partial(write, labels=TWO * 255, classes="bg fg"), found=(0, 1, 0, 1)),
        case(
            "0, 128 and 255",
            partial(write, labels=np.minimum(FOUR.astype(np.int64) * 128, 255).astype(np.uint8)),
            found=(0, 1, 2, 2),
        ),
        case(
            "254",
            partial(write, labels=np.where(FOUR == 3, np.uint8(254), TWO)),
            refused="the label 254 needs 255 classes.*did you mean to ignore it",
        ),
        case("ignored only", partial(write, labels=FOUR * 0 + 255), refused="hold ignored pixels only"),
        case(
            "another size",
            partial(write, labels=FOUR[:2]),
            refused="no image of 3 in the split 'all' can be read.*is 6x2, but .* is 6x4",
        ),
    ),
    "Label maps: folders and names of classes": (
        case("a folder around it", partial(write, labels=FOUR, folder="export")),
        case("train and valid", partial(splits, train="train", val="valid"), sizes, {"train": 3, "val": 3}),
        case(
            "classes in another order",
            partial(splits, train="train", val="val", classes="ground sky thing"),
            partial(named, learned="ground thing sky"),
            ["ground", "sky", "thing", "ground"],
        ),
        case(
            "some of the classes",
            partial(splits, train="train", val="val", classes="ground sky"),
            partial(named, learned="ground thing sky"),
            ["ground", "sky"] * 2,
        ),
        case(
            "a class that was not learned",
            partial(splits, train="train", val="val", classes="ground sea"),
            partial(named, learned="ground thing sky"),
            refused="has classes that this run did not learn: sea; it learned ground, thing, sky",
        ),
    ),
}
