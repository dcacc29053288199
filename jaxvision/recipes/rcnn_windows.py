"""What R-CNN's stages do between them: from images and proposals to windows, features, machines and regressors."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float, Float32, Int

from jaxvision.data.canvas import ignored
from jaxvision.data.feature_store import Features, FeatureStore, write
from jaxvision.data.records import Record, Records, fetch
from jaxvision.data.windows import Windows
from jaxvision.evals.detection import iou
from jaxvision.fits import window_labels
from jaxvision.fits.box_regression import Pairs, Regression, Regressor, encode, fit
from jaxvision.fits.hard_negatives import Machines, Mining, mean_length, mine
from jaxvision.fits.hard_negatives import Windows as Mined
from jaxvision.fits.window_labels import LEFT_OUT, Objects, Overlaps
from jaxvision.train.devices import share
from jaxvision.train.types import Data

Boxes = Float32[np.ndarray, "N 4"]

MACHINE, REGRESSOR = "machine", "regressor"  # what features are for
_MEASURED = 200  # images whose features' lengths are averaged


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """The images of a split, what is on them and where is looked, in pixels of the originals.

    `search` gives the proposals of every image, the best first; of one that cannot be read, none.
    """

    records: Records
    search: Callable[[], Sequence[Boxes]]

    @functools.cached_property
    def objects(self) -> list[Objects]:
        """Of every image; none where it cannot be read."""
        # Only where no proposals were found does its pixels' turn come: they may be why.
        return [_objects(self.records, i, encoded=bool(len(boxes))) for i, boxes in enumerate(self.proposals)]

    @functools.cached_property
    def proposals(self) -> Sequence[Boxes]:
        """Of every image."""
        return self.search()

    @functools.cached_property
    def windows(self) -> list[Boxes]:
        """Of every image: its objects' own boxes, those to ignore excepted, and then its proposals."""
        return [np.concatenate([o.boxes[~o.ignore], p]) for o, p in zip(self.objects, self.proposals, strict=True)]

    def overlaps(self, index: int) -> Overlaps:
        """Of an image's windows with its objects."""
        windows, objects = self.windows[index], self.objects[index]
        return window_labels.overlaps(iou(windows, objects.boxes), windows, objects)

    def own(self, index: int) -> int:
        """How many of an image's windows are its objects' own boxes; they come first."""
        return int((~self.objects[index].ignore).sum())

    def pairs(self, index: int, min_iou: float) -> tuple[Int[np.ndarray, " M"], Int[np.ndarray, " M"]]:
        """The proposals of an image that regressors learn from, as rows of its windows, and their objects."""
        rows, objects = window_labels.pairs(self.overlaps(index), min_iou)
        proposed = rows >= self.own(index)
        return rows[proposed], objects[proposed]


def tuning_windows(split: Split, positive_iou: float) -> Windows:
    """All windows with the label that the network is to learn of them. ValueError: none holds an object."""
    labels = [window_labels.labels(split.overlaps(i), o, positive_iou) for i, o in enumerate(split.objects)]
    images = np.repeat(np.arange(len(labels)), [len(part) for part in labels])
    everything = np.concatenate(labels)
    if not (everything > 0).any():
        raise ValueError("no window holds an object; check --data and --train_split")
    kept = everything != LEFT_OUT
    return Windows(split.records, images[kept], np.concatenate(split.windows)[kept], everything[kept])


def feature_store(folder_of: FeatureStore, split: Split, min_iou: float) -> FeatureStore:
    """`folder_of` with the rows of the split's images: all windows for machines, the pairs alone for regressors."""
    rows = {
        MACHINE: np.array([len(windows) for windows in split.windows]),
        REGRESSOR: np.array([len(split.pairs(i, min_iou)[0]) for i in range(len(split.windows))]),
    }
    return dataclasses.replace(folder_of, rows=rows)


def write_features(
    store: FeatureStore,
    split: Split,
    min_iou: float,
    look: Callable[[Int[np.ndarray, " M"]], Data],
    predict: Callable[[Mapping], Mapping[str, Float[np.ndarray, "B R _"]]],
    say: Callable[[str], None],
) -> None:
    """Every window's features into the store. `look` gives the batches of some images, in order."""

    def compute(items: Int[np.ndarray, " M"]) -> Iterator[Features]:
        seen = items[store.rows[MACHINE][items] > 0]
        found = _each_image(look(seen), [split.records.name(i) for i in seen.tolist()], predict)
        for item in items.tolist():
            if not store.rows[MACHINE][item]:
                yield {name: np.zeros((0, width), np.float32) for name, width in store.widths.items()}
                continue
            features = next(found)
            rows = split.pairs(item, min_iou)[0]
            yield {
                MACHINE: features[MACHINE][: len(split.windows[item])],
                REGRESSOR: features[REGRESSOR][rows],
            }

    write(store, compute, say)


def learn_machines(store: FeatureStore, split: Split, classes: int, numbers: Mining) -> Machines:
    """The SVMs of all classes, for features as they are stored."""
    # Copies, since a view would keep all windows of its image in memory.
    owned = [store.read(MACHINE, i)[: split.own(i)].copy() for i in range(store.items)]
    factor = numbers.norm / mean_length(store.read(MACHINE, i) for i in range(min(_MEASURED, store.items)))
    labels = np.concatenate([o.labels[~o.ignore] for o in split.objects])
    found = mine(
        np.concatenate(owned) * factor, labels, _Images(store, split, classes, numbers, factor), classes, numbers
    )
    return found._replace(kernel=found.kernel * factor)


def learn_regressors(
    store: FeatureStore, split: Split, classes: int, numbers: Regression, norm: float
) -> list[Regressor]:
    """The regressors of all classes, for features as they are stored."""
    pairs = [split.pairs(i, numbers.min_iou) for i in range(store.items)]
    some = [i for i in range(store.items) if len(pairs[i][0])][:_MEASURED]
    factor = norm / mean_length(store.read(REGRESSOR, i) for i in some) if some else 1.0

    def of_class(label: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Images, which of their pairs are of the class, and these pairs' offsets."""
        for index, (rows, nearest) in enumerate(pairs):
            objects = split.objects[index]
            own = objects.labels[nearest] == label
            if own.any():
                yield index, own, encode(objects.boxes[nearest[own]], split.windows[index][rows[own]])

    def parts(label: int) -> Iterator[Pairs]:
        for index, own, offsets in of_class(label):
            yield store.read(REGRESSOR, index)[own] * factor, offsets

    regressors = []
    for label in range(1, classes + 1):
        offsets = np.concatenate([np.zeros((0, 4)), *(offsets for _, _, offsets in of_class(label))])
        found = fit(parts(label), offsets, store.widths[REGRESSOR], numbers.ridge)
        regressors.append(found._replace(kernel=found.kernel * factor))
    return regressors


@dataclasses.dataclass(frozen=True)
class _Images:
    """What is mined."""

    store: FeatureStore
    split: Split
    classes: int
    numbers: Mining
    factor: float

    def __len__(self) -> int:
        return self.store.items

    def __getitem__(self, index: int) -> Mined:
        objects, found = self.split.objects[index], self.split.overlaps(index)
        negative = window_labels.negatives(found, objects, self.classes, self.numbers.negative_iou)
        return Mined(self.store.read(MACHINE, index) * np.float32(self.factor), negative)


def _objects(records: Records, index: int, encoded: bool) -> Objects:
    try:
        record: Record = fetch(records, index, encoded=encoded)
    except (ValueError, OSError):  # the pipeline names it when it comes to its pixels
        record = {}
    boxes = record.get("boxes", np.zeros((0, 4), np.float32))
    return Objects(boxes, record.get("labels", np.zeros(0, np.int32)), ignored(record, len(boxes)))


def _each_image(
    data: Data, names: Sequence[str], predict: Callable[[Mapping], Mapping[str, np.ndarray]]
) -> Iterator[dict[str, Float[np.ndarray, "R _"]]]:
    """What is predicted of the images of `data`, which have these `names`, one after the other.

    ValueError: one of them, in which windows were found, cannot be read. Left out, it would give its place to the next.
    """
    left = list(reversed(names))
    if not left:
        return
    with share(data) as batches:
        for batch in batches:
            outputs = predict(batch)
            for row, readable in enumerate(batch["_mask"]):
                if not left:
                    break  # what fills up the last batch
                name = left.pop()
                if not readable:
                    raise ValueError(f"{name}: cannot be read any more; mend it, or start again in another --workdir")
                yield {name: np.asarray(outputs[name][row]) for name in (MACHINE, REGRESSOR)}
