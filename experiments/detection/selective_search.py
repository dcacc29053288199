"""Selective Search: proposals by grouping superpixels, without learning (Uijlings et al., IJCV 2013).

python launch.py --experiment=detection/selective_search
python launch.py --experiment=detection/selective_search --data=voc:/data/VOC2007 --preset=paper
"""

import dataclasses
import itertools
import time
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from jaxvision.data import selective_search, superpixels
from jaxvision.data.canvas import canvases, ignored
from jaxvision.data.grouping import cut
from jaxvision.data.inputs import Inputs
from jaxvision.data.proposals import propose
from jaxvision.data.records import Record, Records, fetch
from jaxvision.evals.best_overlap import THRESHOLDS, Coverage, best_overlaps, coverage
from jaxvision.evals.detection import iou, scale_of
from jaxvision.recipes.detection_data import require_objects
from jaxvision.recipes.searched_proposals import SelectiveSearchFlags, search_split, search_when_read
from jaxvision.train.steps import init_state, no_step
from jaxvision.train.types import (
    Batch,
    Data,
    Experiment,
    Hook,
    Predict,
    Presentation,
    PyTree,
    Result,
    Say,
    Stage,
    Task,
    TrainState,
)
from jaxvision.viz import detection as boxes_viz
from jaxvision.viz import proposals as viz
from jaxvision.viz.grid import grid
from jaxvision.viz.table import table

COUNTS = (10, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)  # proposals of an image that coverage is reported for
DEPTHS = (100, 30, 10, 5, 2)  # numbers of regions at which a picture shows a hierarchy
TIMED = 8  # images whose search is timed
PREDICTED_SIDE = 600  # pixels of the longer side of an image in --mode=predict


@dataclasses.dataclass(frozen=True)
class Config:
    """Fields are flags; `quick` is the default preset."""

    data: str = "scenes:count=400"  # scenes, voc:DIR, coco:, yolo:, labelme: or csv:DIR, tfds:NAME
    split: str = "val"  # split that is searched, such as test or train[:50]
    strategy: Literal["fast", "quality", "rcnn"] = "fast"  # color spaces and segmentations that are combined
    max_boxes: int = 10_000  # the number of best proposals that are kept of an image; most images have fewer
    shown: int = 3  # number of images in pictures
    batch_size: int = 8  # images that --mode=predict reads at once
    steps: int = 0  # not used, since nothing is learned


PRESETS = {
    "quick": Config(),
    "paper": Config(data="voc:VOCdevkit/VOC2007", split="test", strategy="quality", max_boxes=20_000),
    "smoke": Config(data="scenes:count=8,size=48", shown=1),
}


class CountedObjects(NamedTuple):
    """The objects of an image that count, without difficult ones and crowds."""

    boxes: np.ndarray  # [G, 4], corners in pixels
    labels: np.ndarray  # [G], classes from 1


def build(config: Config, inputs: Inputs) -> Experiment:
    """Search each image, and report how well the proposals cover the objects."""
    records = inputs.source(config.data, "boxes")[config.split]
    require_objects(records, config.data, config.split, "recall cannot be measured")
    flags = SelectiveSearchFlags(config.strategy, config.max_boxes)

    def find() -> Sequence:
        return search_split(inputs, config.data, config.split, records, flags)

    def make(predict: Predict, state: TrainState, say: Say) -> tuple[TrainState, Result]:
        say(f"proposals: {len(records)} images")
        return state, {"proposals/an_image": float(np.mean([len(boxes) for boxes in find()]))}

    def report(predict: Predict, state: TrainState) -> Result:
        seconds = {"proposals/seconds": _seconds(records, config, inputs.seed)}
        return {**_coverage_results(records, find()), **seconds, **_pictures(records, find(), config)}

    task = Task(lambda key, batch: init_state(key, {"params": {}}, {}), no_step, _batch_proposals)
    stage = Stage("proposals", task, None, 0, (Hook("report", 0, report),), make=make)
    frames = canvases(PREDICTED_SIDE, PREDICTED_SIDE)

    def search(files: Records) -> Data:
        searched = search_when_read(files, flags, inputs.seed)
        return inputs.evaluate(searched, frames.evaluate(1, max_proposals=config.max_boxes), config.batch_size)

    return Experiment((stage,), Presentation(search, _describe, _draw))


def _coverage_results(records: Records, proposals: Sequence) -> Result:
    """Return recall and MABO for all proposals as metrics, and for fewer of them as a table and as curves."""
    if not (most := max(len(boxes) for boxes in proposals)):
        raise ValueError(f"no proposals in {len(records)} images; check --data, or take another --strategy")
    counts = [*(n for n in COUNTS if n < most), most]
    overlaps, labels = [], []
    for index, record in _readable(records, encoded=True):
        objects = _objects(record)
        overlaps.append(best_overlaps(proposals[index], objects.boxes, counts))
        labels.append(objects.labels)
    covered = coverage(overlaps, labels, counts)
    return {
        **{f"proposals/recall{round(100 * t)}": float(r[-1]) for t, r in zip(THRESHOLDS, covered.recall, strict=True)},
        "proposals/mabo": float(covered.mabo[-1]),
        "coverage": viz.coverage_curves(counts, _curves(covered)),
        "report": _report(covered),
    }


def _curves(covered: Coverage) -> dict[str, np.ndarray]:
    recall = {f"recall, IoU {t:g}": values for t, values in zip(THRESHOLDS, covered.recall, strict=True)}
    return {**recall, "MABO": covered.mabo}


def _report(covered: Coverage) -> str:
    curves = _curves(covered)
    rows = {str(n): [float(values[i]) for values in curves.values()] for i, n in enumerate(covered.counts)}
    return table(["proposals an image", *curves], rows, digits=3)


def _readable(records: Records, *, encoded: bool = False) -> Iterator[tuple[int, Record]]:
    """Yield each record that can be read, with its number; `encoded` leaves its pixels undecoded."""
    for index in range(len(records)):
        try:
            record = fetch(records, index, encoded=encoded)
        except (ValueError, OSError):
            continue  # the log names it, and it has no proposals
        yield index, record


def _objects(record: Record) -> CountedObjects:
    """What is on an image, less what is to be ignored."""
    boxes, labels = record.get("boxes", np.zeros((0, 4), np.float32)), record.get("labels", np.zeros(0, np.int32))
    kept = ~ignored(record, len(boxes))
    return CountedObjects(boxes[kept], labels[kept])


def _seconds(records: Records, config: Config, seed: int) -> float:
    """Return the median of the seconds that a few images take, searched one at a time."""
    times = []
    for _, record in itertools.islice(_readable(records), TIMED):
        began = time.perf_counter()
        propose(record["image"], config.strategy, seed, config.max_boxes)
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def _pictures(records: Records, proposals: Sequence, config: Config) -> Result:
    """Draw superpixels, a hierarchy at several depths and the best proposals of the first images."""
    pictures: Result = {}
    for index, record in itertools.islice(_readable(records), config.shown):
        image, boxes, objects = record["image"], proposals[index], _objects(record)
        if len(boxes):
            overlaps = iou(objects.boxes, boxes)
            best = overlaps.argmax(axis=1)
            pictures[f"best_boxes_{index}"] = viz.best_boxes(image, boxes, objects.boxes, best, overlaps.max(axis=1))
        pictures |= {f"{name}_{index}": picture for name, picture in _drawn_steps(image, config).items()}
    return pictures


def _drawn_steps(image: np.ndarray, config: Config) -> Result:
    """Draw the superpixels of each segmentation, with SLIC's for comparison, and a hierarchy at several depths."""
    strategy = selective_search.STRATEGIES[config.strategy]
    seen = selective_search.reduced(image, strategy.side)
    grouped = list(selective_search.hierarchies(seen, strategy))
    segmented = {one.name.rpartition(" ")[0]: one.labels for one in grouped}
    segmented["SLIC"] = superpixels.slic(seen, 1 + max(int(labels.max()) for labels in segmented.values()))
    captions = [f"{name}: {labels.max() + 1}" for name, labels in segmented.items()]
    tiles = np.stack([viz.regions(seen, labels, size=320) for labels in segmented.values()])
    first = grouped[0]
    parts = [cut(first.hierarchy, count) for count in DEPTHS]
    levels = [part[first.labels].astype(np.int32) for part in parts if part.max() + 1 < len(part)]
    return {"superpixels": grid(tiles, 3, captions, size=1), "hierarchy": viz.depths(seen, [first.labels, *levels])}


def _batch_proposals(state: TrainState, batch: Batch) -> PyTree:
    return {"proposals": batch["proposals"], "valid": batch["proposal_valid"]}


def _describe(outputs: PyTree, batch: Batch, row: int) -> dict[str, Any]:
    """Return an image's proposals in its own pixels, the most likely first."""
    boxes = np.asarray(outputs["proposals"][row])[np.asarray(outputs["valid"][row])]
    return {"proposals": (boxes / scale_of(batch, row)[None]).round(1).tolist()}


def _draw(outputs: PyTree, batch: Batch) -> np.ndarray:
    """Draw the best fifty proposals of each image."""
    ranks = -np.arange(outputs["proposals"].shape[1], dtype=np.float32)
    tiles = [
        boxes_viz.proposals(batch["image"][row], outputs["proposals"][row], ranks, outputs["valid"][row])
        for row in np.flatnonzero(batch["_mask"])
    ]
    return grid(np.stack(tiles), 1, size=1)
