"""COCO's JSON as tools and people write it: boxes, outlines, ids, sizes, and where the images lie."""

import json
from functools import partial
from pathlib import Path
from typing import Any

from jaxvision.data.records import Source
from jaxvision.recipes.detection_data import check_objects
from tests.data.cases.case import Case, boxes, draw, labels, names, sizes, whole

BOX, OUTLINE = [2, 3, 12, 15], [2, 3, 12, 3, 12, 15, 2, 15]
THREE = [[BOX]] * 3
CATEGORIES = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
NAMED = r"images/0\.png, annotation 1: "
NO_OUTLINE = "1 of 3 objects have no outline"


def annotation(number: int, **changes: Any) -> dict[str, Any]:
    """An annotation of image `number`; a field that is changed to ... is left out."""
    plain = {"id": number, "image_id": number, "category_id": 1, "bbox": [2, 3, 10, 12], "area": 120, "iscrowd": 0}
    found = {**plain, "segmentation": [OUTLINE], **changes}
    return {name: value for name, value in found.items() if value is not ...}


def image(number: int, **changes: Any) -> dict[str, Any]:
    found = {"id": number, "file_name": f"{number - 1}.png", "width": 40, "height": 30, **changes}
    return {name: value for name, value in found.items() if value is not ...}


def write(
    root: Path,
    things: list | None = None,
    pictures: list | None = None,
    categories: list = CATEGORIES,
    file: str = "annotations/instances_default.json",
    folder: str = "images",
) -> None:
    """Write a JSON and its images; three images with an object each where nothing else is said."""
    pictures = [image(number) for number in (1, 2, 3)] if pictures is None else pictures
    things = [annotation(number) for number in (1, 2, 3)] if things is None else things
    document = {"images": pictures, "annotations": things, "categories": categories}
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(json.dumps(document))
    for picture in pictures:
        draw(root / folder / picture["file_name"])


def first(root: Path, **changes: Any) -> None:
    """Three annotations, of which the first is changed."""
    write(root, [annotation(1, **changes), annotation(2), annotation(3)])


def all_of(root: Path, **changes: Any) -> None:
    write(root, [annotation(number, **changes) for number in (1, 2, 3)])


def mixed(root: Path) -> None:
    write(root, [annotation(1, bbox=[], segmentation=None), *(annotation(n) for n in (1, 2, 3))])


def split(root: Path, name: str, count: int, folder: str = "", file: str = "", **more: Any) -> None:
    pictures = [image(number) for number in range(1, count + 1)]
    things = more.pop("things", [annotation(number) for number in range(1, count + 1)])
    write(root, things, pictures, file=file or f"annotations/instances_{name}.json", folder=folder or name, **more)


def both(root: Path, train: tuple[str, int], val: tuple[str, int], file: str = "annotations/{}.json") -> None:
    for name, count in (train, val):
        split(root, name, count, file=file.format(name), folder=f"images/{name}")


def other_ids(root: Path) -> None:
    split(root, "train", 2, things=[annotation(1), annotation(2, category_id=2)])
    other = [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}]
    split(root, "val", 2, things=[annotation(1, category_id=0), annotation(2)], categories=other)


def called(root: Path, name: str) -> None:
    """Call the first image otherwise in the annotations than its file is called."""
    write(root)
    file = root / "annotations" / "instances_default.json"
    file.write_text(file.read_text().replace('"0.png"', f'"{name}"'))


def scattered(root: Path, twice: bool = False) -> None:
    write(root)
    (root / "images" / "a").mkdir()
    (root / "images" / "0.png").rename(root / "images" / "a" / "0.png")
    draw(root / "images" / "b" / ("0.png" if twice else "7.png"))


def text_ids(root: Path) -> None:
    pictures = [image(number, id=str(number)) for number in (1, 2, 3)]
    things = [annotation(n, image_id=str(n), category_id=category) for n, category in ((1, "9"), (2, "10"), (3, "9"))]
    write(root, things, pictures, [{"id": "10", "name": "dog"}, {"id": "9", "name": "cat"}])


def text_names(root: Path) -> None:
    pictures = [image(number, id=f"photo {number}") for number in (1, 2, 3)]
    write(root, [annotation(number, image_id=f"photo {number}") for number in (1, 2, 3)], pictures)


def gone(root: Path) -> None:
    both(root, ("train", 2), ("val", 2))
    for number in (0, 1):
        (root / "images" / "val" / f"{number}.png").unlink()


def masks(source: Source) -> list[list[int]]:
    """The pixels of each object's mask, in each image."""
    records = whole(source)
    return [records[i]["masks"].sum(axis=(1, 2)).tolist() for i in range(len(records))]


def areas(source: Source) -> list[list[float]]:
    records = whole(source)
    return [records[i]["area"].tolist() for i in range(len(records))]


def by_split(source: Source) -> dict[str, list[list[int]]]:
    return {name: [source[name][i]["labels"].tolist() for i in range(len(source[name]))] for name in ("train", "val")}


def crowds(source: Source) -> list[bool]:
    records = whole(source)
    return [bool(records[i]["crowd"].any()) for i in range(len(records))]


def trained(source: Source, masks: bool = False) -> str:
    """Check a detector's data as it is checked before the first step."""
    check_objects(source, "coco:DIR", "train", "val", masks=masks, most={"--detecting.detections": 20})
    return "fits"


def refused_masks(source: Source) -> str:
    """The reason why masks cannot be learned of data that boxes can be learned of."""
    trained(source)
    try:
        return trained(source, masks=True)
    except ValueError as error:
        return str(error)


def crowded(root: Path) -> None:
    grid = [[2.0 + 5 * (i % 7), 2.0 + 4 * (i // 7), 3.0, 3.0] for i in range(40)]
    for name in ("train", "val"):
        split(root, name, 1, things=[annotation(1, id=i, bbox=box) for i, box in enumerate(grid)])


def parts(root: Path, train: dict[str, Any] | None, val: dict[str, Any] | None) -> None:
    """A training and a validation split of two images, whose annotations are changed; None: it has none."""
    for name, changes in (("train", train), ("val", val)):
        things = [] if changes is None else [annotation(number, **changes) for number in (1, 2)]
        split(root, name, 2, things=things)


def case(name: str, write: Any, look: Any = boxes, found: Any = THREE, **more: Any) -> Case:
    return Case(name, "coco:{}", "boxes", write, look, found, **more)


CASES = {
    "COCO: boxes": (
        case("no annotations", partial(write, things=[]), found=[[]] * 3),
        case("area stated", partial(all_of, bbox=[2, 3, 30, 25], area=60.0), areas, [[60.0]] * 3),
        case("bbox []", partial(first, bbox=[], segmentation=None), found=[[], [BOX], [BOX]], left_out=NAMED + "has n"),
        case("bbox [] beside a good one", mixed, left_out=NAMED + "has neither a box nor an outline"),
        case("bbox missing", partial(first, bbox=...)),
        case("bbox null", partial(first, bbox=None, segmentation=None), found=[[], [BOX], [BOX]], left_out=NAMED),
        case("bbox null with an outline", partial(first, bbox=None)),
        case("bbox of text", partial(first, bbox=["2", "3", "10", "12.0"])),
        case("bbox NaN", partial(first, bbox=[float("nan"), 1, 5, 5]), found=[[], [BOX], [BOX]], left_out="not finite"),
        case("bbox beyond the corner", partial(first, bbox=[-5, -5, 20, 20]), found=[[[0, 0, 15, 15]], [BOX], [BOX]]),
        case("bbox beyond the end", partial(first, bbox=[30, 20, 99, 99]), found=[[[30, 20, 40, 30]], [BOX], [BOX]]),
        case("bbox inverted", partial(first, bbox=[20, 20, -9, -9]), found=[[], [BOX], [BOX]], left_out="has no area"),
        case(
            "one bbox of fractions",
            partial(first, bbox=[0.1, 0.1, 0.3, 0.4]),
            found=[[], [BOX], [BOX]],
            left_out="0..1",
        ),
        case("all of fractions", partial(all_of, bbox=[0.1, 0.1, 0.3, 0.4]), refused="every box lies within 0..1"),
        case("fractions rounded up", partial(all_of, bbox=[0.5, 0.5, 0.5001, 0.5001]), refused="lies within 0..1"),
        case("bbox tiny", partial(first, bbox=[3, 3, 1e-3, 1e-3]), found=[[[3, 3, 3.001, 3.001]], [BOX], [BOX]]),
    ),
    "COCO: outlines": (
        case(
            "no runs",
            partial(first, segmentation={"size": [30, 40], "counts": []}),
            masks,
            [[0], [120], [120]],
            said=NO_OUTLINE,
        ),
        case("[]", partial(first, segmentation=[]), masks, [[0], [120], [120]], said=NO_OUTLINE),
        case("[[]]", partial(first, segmentation=[[]]), masks, [[0], [120], [120]], said=NO_OUTLINE),
        case("null", partial(first, segmentation=None), masks, [[0], [120], [120]], said=NO_OUTLINE),
        case(
            "runs of floats",
            partial(first, segmentation={"size": [30, 40], "counts": [0.0, 1200.0]}),
            masks,
            [[1200], [120], [120]],
        ),
        case(
            "runs in a list",
            partial(first, segmentation={"size": [30, 40], "counts": [[0, 1200]]}),
            masks,
            [[1200], [120], [120]],
        ),
        case(
            "runs of another size",
            partial(first, segmentation={"size": [40, 30], "counts": [0, 1200]}),
            masks,
            [[0], [120], [120]],
            left_out="run lengths of 30x40, of an image of 40x30",
        ),
        case(
            "a list of one run length",
            partial(first, segmentation=[{"size": [30, 40], "counts": [0, 1200]}]),
            masks,
            [[1200], [120], [120]],
        ),
        case(
            "compressed runs that do not fit",
            partial(first, segmentation={"size": [30, 40], "counts": "PPPPPPPPPPPPPPPPPP1"}),
            masks,
            [[0], [120], [120]],
        ),
        case(
            "runs that overflow",
            partial(first, segmentation={"size": [30, 40], "counts": [2**63, 2**63, 1200]}),
            masks,
            [[0], [120], [120]],
            left_out="run lengths are whole numbers",
        ),
        case(
            "NaN",
            partial(first, segmentation=[[2, 3, float("nan"), 3, 12, 15]]),
            masks,
            [[0], [120], [120]],
            left_out="not finite; its box is kept",
        ),
        case("odd", partial(first, segmentation=[OUTLINE[:-1]]), masks, [[0], [120], [120]], left_out="7 coordinates"),
        case("nested", partial(first, segmentation=[[[2, 3], [12, 3], [12, 15], [2, 15]]]), masks, [[120]] * 3),
        case("flat", partial(all_of, segmentation=OUTLINE), masks, [[120]] * 3),
        case("outside", partial(first, segmentation=[[-5, -5, 50, -5, 50, 40, -5, 40]]), masks, [[1200], [120], [120]]),
    ),
    "COCO: ids, flags and sizes": (
        case(
            "a category called background",
            partial(write, categories=[{"id": 0, "name": "background"}, CATEGORIES[0]]),
            lambda source: source.class_names,
            ("background", "cat"),
        ),
        case(
            "a category id twice",
            partial(write, categories=[CATEGORIES[0], {"id": 1, "name": "dog"}]),
            refused="category id 1 is both 'cat' and 'dog'",
        ),
        case(
            "a gap in the category ids",
            partial(
                write,
                things=[annotation(1, category_id=7), annotation(2, category_id=0)],
                categories=[{"id": 7, "name": "dog"}, {"id": 0, "name": "cat"}],
            ),
            labels,
            [[2], [1], []],
        ),
        case(
            "an image id twice",
            partial(write, pictures=[image(1), image(1, file_name="1.png"), image(3)]),
            refused=r"image id 1 belongs to '0\.png' and to '1\.png'",
        ),
        case(
            "an image that is gone",
            partial(write, things=[annotation(n) for n in (1, 2, 3, 99)]),
            left_out="annotation 99: its image_id 99 is not among the images",
        ),
        case("no images", partial(write, pictures=[]), refused="has no images"),
        case(
            "a name twice",
            partial(
                write,
                things=[annotation(1), annotation(2, category_id=2)],
                categories=[CATEGORIES[0], {"id": 2, "name": "cat"}],
            ),
            labels,
            [[1], [1], []],
            said="categories 1 and 2 are both 'cat'",
        ),
        case("ids as text", text_ids, labels, [[1], [2], [1]]),
        case("image ids of text", text_names),
        case(
            "category ids as text in annotations only",
            partial(all_of, category_id="1", iscrowd=None, segmentation=None),
        ),
        case('iscrowd "0"', partial(all_of, iscrowd="0"), crowds, [False] * 3),
        case("other ids in val", other_ids, by_split, {"train": [[1], [2]], "val": [[1], [2]]}),
        case("sizes as floats", partial(write, pictures=[image(n, width=40.0, height=30.0) for n in (1, 2, 3)])),
        case("sizes missing", partial(write, pictures=[image(n, width=..., height=...) for n in (1, 2, 3)])),
        case("sizes null", partial(write, pictures=[image(n, width=None, height=None) for n in (1, 2, 3)])),
        case("sizes -1", partial(write, pictures=[image(n, width=-1, height=-1) for n in (1, 2, 3)])),
    ),
    "COCO: files": (
        case(
            "train.json and val.json", partial(both, train=("train", 3), val=("val", 2)), sizes, {"train": 3, "val": 2}
        ),
        case(
            "Train and Validation",
            partial(both, train=("Train", 4), val=("Validation", 2), file="annotations/instances_{}.json"),
            sizes,
            {"train": 4, "val": 2},
        ),
        case(
            "file_name images/0.png",
            partial(write, pictures=[image(n, file_name=f"images/{n}.png") for n in (1, 2, 3)], folder=""),
        ),
        case("file_name sub/0.png", partial(write, pictures=[image(n, file_name=f"sub/{n}.png") for n in (1, 2, 3)])),
        case(
            "file_name größe 1.png", partial(write, pictures=[image(n, file_name=f"größe {n}.png") for n in (1, 2, 3)])
        ),
        case("file_name in upper case", partial(called, name="0.PNG")),
        case("file_name without extension", partial(called, name="0")),
        case("images in folders", scattered, names, ["0.png", "1.png", "2.png"]),
        case(
            "a name in two folders",
            partial(scattered, twice=True),
            refused=r"0\.png: .*a/0\.png and .*b/0\.png are both called so",
        ),
        case("result.json beside images/", partial(write, file="result.json")),
        case("a folder around it", lambda root: write(root / "export")),
        case(
            "val without its images",
            gone,
            refused="no image of 2 in the split 'val' can be read; the first: .*0.png: No such file",
        ),
        case(
            "result.json and another",
            lambda root: [write(root, file=file) for file in ("result.json", "new.json")],
            refused="is not named like a split",
        ),
    ),
    "Detectors' data": (
        case(
            "no object to learn",
            partial(parts, train=None, val={}),
            trained,
            refused="none of the 2 images of train has an object",
        ),
        case(
            "no object to measure",
            partial(parts, train={}, val=None),
            trained,
            "fits",
            said="val: none of its 2 images has an object",
        ),
        case("crowds of text", partial(parts, train={"iscrowd": "0"}, val={"iscrowd": "0"}), trained, "fits"),
        case("40 objects in an image", crowded, trained, "fits", said="of which at most 20 can be found; raise --det"),
        case(
            "no outlines",
            partial(parts, train={"segmentation": ...}, val={}),
            refused_masks,
            "--data=coco:DIR: none of the objects of train has an outline, from which masks are learned; "
            "detection/faster_rcnn learns boxes alone",
        ),
        case(
            "fractions",
            partial(parts, train={"bbox": [0.2, 0.2, 0.5, 0.5]}, val={}),
            refused="every box lies within 0..1",
        ),
        case("tiny boxes", partial(parts, train={"bbox": [3, 3, 1e-4, 1e-4]}, val={}), trained, "fits"),
    ),
}
