"""The windows of a split of images: boxes of objects and proposals, from which all stages of R-CNN learn."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float32, Int

from jaxvision.data.canvas import ignored
from jaxvision.data.records import Record, Records, fetch
from jaxvision.data.windows import Windows
from jaxvision.evals.detection import iou
from jaxvision.fits import window_labels
from jaxvision.fits.window_labels import LEFT_OUT, ImageObjects, Overlaps

Boxes = Float32[np.ndarray, "N 4"]


@dataclasses.dataclass(frozen=True, eq=False)
class WindowSplit:
    """The images of a split with their objects and windows, all boxes in pixels of the original images."""

    records: Records
    search: Callable[[], Sequence[Boxes]]  # returns the proposals of each image, the best first; none if unreadable

    @functools.cached_property
    def objects(self) -> list[ImageObjects]:
        """The objects of each image; none where the image cannot be read."""
        # An image without proposals may be one whose pixels cannot be read, so they are decoded for these images only.
        return [_objects(self.records, i, encoded=bool(len(boxes))) for i, boxes in enumerate(self.proposals)]

    @functools.cached_property
    def proposals(self) -> Sequence[Boxes]:
        """The proposals of each image."""
        return self.search()

    @functools.cached_property
    def windows(self) -> list[Boxes]:
        """The windows of each image: the boxes of its objects, without ignored ones, followed by its proposals."""
        return [np.concatenate([o.boxes[~o.ignore], p]) for o, p in zip(self.objects, self.proposals, strict=True)]

    def overlaps(self, index: int) -> Overlaps:
        """Return the overlaps of an image's windows with its objects."""
        windows, objects = self.windows[index], self.objects[index]
        return window_labels.overlaps(iou(windows, objects.boxes), windows, objects)

    def object_count(self, index: int) -> int:
        """Return how many windows of an image are the boxes of its objects; they come first."""
        return int((~self.objects[index].ignore).sum())

    def pairs(self, index: int, min_iou: float) -> tuple[Int[np.ndarray, " M"], Int[np.ndarray, " M"]]:
        """Return the proposals that have this IoU with an object, as rows of the image's windows, and their objects."""
        rows, objects = window_labels.pairs(self.overlaps(index), min_iou)
        proposed = rows >= self.object_count(index)
        return rows[proposed], objects[proposed]


def labelled_windows(split: WindowSplit, positive_iou: float) -> Windows:
    """Return all windows with their labels for fine-tuning. ValueError: no window holds an object."""
    labels = [window_labels.labels(split.overlaps(i), o, positive_iou) for i, o in enumerate(split.objects)]
    images = np.repeat(np.arange(len(labels)), [len(part) for part in labels])
    label = np.concatenate(labels)
    if not (label > 0).any():
        raise ValueError("no window holds an object; check --data and --train_split")
    kept = label != LEFT_OUT
    return Windows(split.records, images[kept], np.concatenate(split.windows)[kept], label[kept])


def _objects(records: Records, index: int, encoded: bool) -> ImageObjects:
    try:
        record: Record = fetch(records, index, encoded=encoded)
    except (ValueError, OSError):  # the pipeline names the file when it reads the pixels
        record = {}
    boxes = record.get("boxes", np.zeros((0, 4), np.float32))
    return ImageObjects(boxes, record.get("labels", np.zeros(0, np.int32)), ignored(record, len(boxes)))
