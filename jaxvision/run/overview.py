"""An overview of the training data: pictures of the first batches as the network sees them, and counts of each split.

Where a step makes the network's inputs of the images, as views of them, the pictures show these, too. No worker process
is started, and of a large set only a part is read.
"""

import contextlib
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxvision.data import counts, crops
from jaxvision.data.canvas import canvases
from jaxvision.data.counts import Counts
from jaxvision.data.inputs import Inputs
from jaxvision.data.pipeline import TrainIterator
from jaxvision.data.records import Records, Source, fetch
from jaxvision.data.source_log import SourceLog
from jaxvision.train.types import Batch, Data, Experiment, TrainState
from jaxvision.viz import batch as viz

_ROWS = 32  # most images of a batch that are read
_ENOUGH = 8  # images of a stage, after which no further batch is drawn
_BATCHES = 4  # most batches of a stage that are drawn
_STAGES = 12  # most stages whose data is looked at
_LINES = 50  # most lines about what was left out
_PLAIN_SIZE, _PLAIN_OBJECTS = 384, 100  # pixels and objects of an image that is drawn as it is annotated


class Overview(NamedTuple):
    """The content of the page about the data."""

    document: dict[str, Any]  # counts and captions, as data.json holds them; see `collect`
    pictures: dict[str, np.ndarray]  # uint8 [H, W, 3] by file name


class _Drawn(NamedTuple):
    """Batches of one stage and what was found while they were read."""

    batches: list[Batch]
    findings: Mapping[str, str]  # a record's name -> what of it could not be read
    see: Callable[[TrainState, Batch], Any] | None = None  # of the stage's task


def collect(
    experiment: Experiment, inputs: Inputs, config: Any, log: SourceLog, *, most: int = 2000, seconds: float = 2.0
) -> Overview:
    """Draw the first training batches and count the data.

    Args:
        experiment: its stages have the training data.
        inputs: opens the data of the experiments whose own batches depend on what earlier stages make.
        config: the experiment's settings, which name the splits.
        log: the sources that the experiment opened.
        most: most records of a split that are read to be counted.
        seconds: time for the counts of a split.

    Returns:
        The overview. Its document has "sources" (a dict for each, see `_counted`), "pictures" (file and caption),
        "findings" (records of the drawn batches that were not read, or only in part) and "remark".
    """
    source = log.opened.get(getattr(config, "data", "")) or next(iter(log.opened.values()), None)
    if source is None:
        return Overview({"sources": [], "pictures": [], "findings": {}, "remark": ""}, {})
    drawn, remark = _drawn(experiment), ""
    if not drawn:
        drawn = {"images": _as_annotated(source[_train_split(config)], inputs, source)}
        remark = (
            "The images are drawn as they are annotated: this experiment makes its training batches of what its first "
            "stage finds in them."
        )
    pictures, captions = {}, []
    for stage, found in drawn.items():
        for number, batch in enumerate(found.batches, start=1):
            seen = _seen(found, batch, number - 1, inputs.seed)
            picture = viz.draw(batch, source.class_names) if seen is None else viz.draw_seen(*seen)
            if picture is not None:
                file = f"{stage}-{number}.png"
                pictures[file] = picture
                captions.append({"file": file, "caption": _caption(stage, number, batch, seen)})
    pixels = any("label_map" in batch and "boxes" not in batch for each in drawn.values() for batch in each.batches)
    document = {
        "sources": [_counted(spec, opened, config, pixels, most, seconds) for spec, opened in log.opened.items()],
        "pictures": captions,
        "findings": {name: reason for each in drawn.values() for name, reason in each.findings.items()},
        "remark": remark,
    }
    return Overview(document, pictures)


def _drawn(experiment: Experiment) -> dict[str, _Drawn]:
    """Return the first batches of each stage whose data differs from that of the stages before it.

    Stages behind one that makes something are left out, since their data may depend on what it makes.
    """
    drawn: dict[str, _Drawn] = {}
    seen: set[int] = set()
    for stage in experiment.stages[:_STAGES]:
        if stage.make is not None:
            break
        if stage.data is None or not stage.steps:
            continue
        found = _first_batches(stage.data)._replace(see=stage.task.see)
        content = zlib.crc32(b"".join(np.ascontiguousarray(value).tobytes() for value in found.batches[0].values()))
        if content not in seen:
            seen.add(content)
            drawn[stage.name] = found
    return drawn


def _first_batches(data: Data) -> _Drawn:
    """Read the first rows of the first batches in this thread, as many as are drawn."""
    with contextlib.closing(data(0, 1)) as whole:
        if not isinstance(whole, TrainIterator):
            return _Drawn([{key: value[:_ROWS] for key, value in next(whole).items()}], {})
        size = whole.get_state()["batch_size"]
    shares = next(n for n in range(1, size + 1) if size % n == 0 and size // n <= _ROWS)
    batches: list[Batch] = []
    with contextlib.closing(data(0, shares)) as part:
        assert isinstance(part, TrainIterator)
        while len(batches) < _BATCHES and len(batches) * (size // shares) < _ENOUGH:
            batches.append(part.at(len(batches)))
        return _Drawn(batches, {**part.notes, **part.skipped})


def _seen(found: _Drawn, batch: Batch, step: int, seed: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Return some images of a batch and the inputs that a step makes of them; None where these are the images."""
    if found.see is None:
        return None
    rows = {key: value[:_ENOUGH] for key, value in batch.items()}
    state = TrainState(np.int32(step), {}, {}, {}, {}, jax.random.PRNGKey(seed))
    return rows["image"], np.asarray(jax.jit(found.see)(state, rows))


def _as_annotated(records: Records, inputs: Inputs, source: Source) -> _Drawn:
    """Read some records without augmentation."""
    if "boxes" in fetch(records, 0, encoded=True):
        transform = canvases(_PLAIN_SIZE, _PLAIN_SIZE).evaluate(_PLAIN_OBJECTS, fill=source.mean)
    else:
        transform = crops.center_crop(_PLAIN_SIZE, _PLAIN_SIZE)
    alone = inputs._replace(workers=0)
    return _first_batches(alone.train(records, transform, _ENOUGH))


def _train_split(config: Any) -> str:
    return getattr(config, "train_split", "") or getattr(config, "split", "") or "train"


def _caption(stage: str, number: int, batch: Batch, seen: tuple[np.ndarray, np.ndarray] | None = None) -> str:
    height, width = batch["image"].shape[1:3]
    shown = f"{len(batch['image'] if seen is None else seen[0])} images on {width}×{height} pixels"
    if seen is None:
        return f"{stage}, batch {number}: {shown}"
    each, rows, columns = seen[1].shape[1:4]
    return f"{stage}, batch {number}: {shown}, each with the {each} inputs of {columns}×{rows} that a step makes of it"


def _counted(spec: str, source: Source, config: Any, pixels: bool, most: int, seconds: float) -> dict[str, Any]:
    """Return the counts of a source: "data", "unit", "class_names", "splits", "left_out" and how many these are."""
    used = [name for name in (_train_split(config), getattr(config, "val_split", "")) if name]
    known = {name.partition("[")[0] for name in used}
    used += [name for name in ("train", "val", "test") if name not in known]
    splits, unit = [], "images"
    for name in dict.fromkeys(used):
        if name.partition("[")[0] not in source.splits:
            continue
        records = source[name]
        found = counts.count(records, source.num_classes, pixels=pixels, most=most, seconds=seconds)
        unit = found.unit if found.classes.any() else unit
        splits.append(_split(name, source.origins.get(name.partition("[")[0], ""), found))
    return {
        "data": spec,
        "unit": unit,
        "class_names": list(source.class_names),
        "splits": splits,
        "left_out": list(source.left_out[:_LINES]),
        "left_out_count": len(source.left_out),
    }


def _split(name: str, origin: str, found: Counts) -> dict[str, Any]:
    places = (0, len(found.sizes) // 2, -1) if len(found.sizes) else ()
    return {
        "name": name,
        "origin": origin,
        "images": found.images,
        "read": found.read,
        "classes": found.classes.tolist(),
        "sizes": [found.sizes[place].tolist() for place in places],
        "sizes_of": len(found.sizes),
        "empty": found.empty,
        "areas": list(found.areas),
        "unreadable": list(found.unreadable[:_LINES]),
    }
