"""R-CNN's settings, pictures and times."""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt8

from jaxvision.data.feature_store import Precision
from jaxvision.data.proposals import propose
from jaxvision.data.records import Records
from jaxvision.evals import best_overlap
from jaxvision.fits.hard_negatives import Round
from jaxvision.models.alexnet import AlexNet
from jaxvision.models.resnet import ResNet
from jaxvision.recipes.detection import Searching
from jaxvision.recipes.detection_times import timed
from jaxvision.recipes.rcnn_windows import Split
from jaxvision.tasks.rcnn import Look, Reported, report, score
from jaxvision.train.timing import seconds
from jaxvision.train.types import Batch, Data, Hook, PyTree, Result, TrainState
from jaxvision.viz import detection as viz
from jaxvision.viz.grid import grid, predictions

MOMENTS, HARDEST = 4, 8  # of mining that are shown, and the negatives at each


@dataclasses.dataclass(frozen=True)
class Network:
    """What looks at windows."""

    kind: Literal["resnet", "alexnet"] = "resnet"
    depth: int = 18  # of a ResNet
    width: float = 1.0  # fraction of the paper's channels

    def make(self, num_classes: int | None) -> AlexNet | ResNet:
        """The network; without classes it ends at the features of the machines."""
        if self.kind == "alexnet":
            return AlexNet(num_classes, "caffenet", self.width)
        return ResNet(num_classes, self.depth, width=self.width)

    @property
    def features(self) -> tuple[str, str]:
        """Names of what the machines and the regressors are given."""
        return ("fc7", "pool5") if self.kind == "alexnet" else ("pool", "layer4")


@dataclasses.dataclass(frozen=True)
class Tuning:
    """Which windows the network learns from."""

    positive_iou: float = 0.5  # with an object: the window is of its class; with less, of the background
    positives: float = 0.25  # of a batch


@dataclasses.dataclass(frozen=True)
class Storing:
    """How features are computed and kept."""

    precision: Precision = "float32"  # float16 takes half the room
    images: int = 4  # that are looked at together, also in testing
    windows: int = 64  # of each of them that go through the network together
    per_shard: int = 64  # images whose features one file holds


def coverage(split: Split) -> Result:
    """How well proposals cover objects: recall at IoU 0.5 and 0.7, and a class's mean best overlap, averaged (MABO)."""
    counted = [(o.boxes[~o.ignore], o.labels[~o.ignore]) for o in split.objects]
    proposed = [windows[split.own(i) :] for i, windows in enumerate(split.windows)]
    best = [
        best_overlap.best_overlaps(boxes, objects, (len(boxes),))
        for boxes, (objects, _) in zip(proposed, counted, strict=True)
    ]
    covered = best_overlap.coverage(best, [labels for _, labels in counted], (0,))
    recall = zip(best_overlap.THRESHOLDS, covered.recall[:, 0].tolist(), strict=True)
    return {
        "proposals/an_image": float(np.mean([len(boxes) for boxes in proposed])),
        "proposals/mabo": float(covered.mabo[0]),
        **{f"proposals/recall{round(100 * threshold)}": share for threshold, share in recall},
    }


def draw_proposals(split: Split) -> UInt8[np.ndarray, "H W 3"]:
    """The proposals of the first image that has some, those that cover an object best the brightest."""
    index = next(i for i, windows in enumerate(split.windows) if len(windows) > split.own(i))
    boxes = split.windows[index][split.own(index) :]
    overlap = split.overlaps(index).iou[split.own(index) :].max(axis=1, initial=0.0)
    return viz.proposals(split.records[index]["image"], boxes, overlap.astype(np.float32))


def draw_windows(outputs: PyTree, batch: Batch, class_names: Sequence[str]) -> UInt8[np.ndarray, "H W 3"]:
    """Windows as the network is shown them, objects first, and what it takes them for."""
    labels = np.asarray(batch["labels"][:, 0])
    rows = np.concatenate([np.flatnonzero(labels > 0)[:12], np.flatnonzero(labels == 0)[:12]])
    windows, probabilities = (np.asarray(outputs[key])[rows] for key in ("windows", "probabilities"))
    return predictions(windows, probabilities, class_names, labels[rows])


def draw_hard_negatives(
    rounds: Sequence[Round], windows: Any, class_names: Sequence[str]
) -> UInt8[np.ndarray, "H W 3"] | None:
    """The hardest negatives at some moments of mining, a row each, of an image one; `windows(places)` gives the pixels.

    Those before the first fit are left out: all were taken. None where there are no others.
    """
    mined = [r for r in rounds if r.hardest and np.isfinite(r.hardest[0][0])]
    rows = []
    for part in np.array_split(np.arange(len(mined)), min(MOMENTS, len(mined))):
        found = sorted(((*hard, mined[i]) for i in part for hard in mined[i].hardest), key=lambda one: -one[0])
        of_image = {image: (score, image, window, r) for score, image, window, r in reversed(found)}
        rows += sorted(of_image.values(), key=lambda one: -one[0])[:HARDEST]
    if not rows:
        return None
    captions = [f"as {class_names[r.label]}: {score:.2f}\nafter {r.images} images" for score, _, _, r in rows]
    return grid(windows([(image, window) for _, image, window, _ in rows]), HARDEST, captions)


def times(look: Look, numbers: Reported, records: Records, data: Data, search: Searching, seed: int) -> Hook:
    """See `_times.timed`; proposals of `records` are searched for, and features are those of windows."""
    see = jax.jit(look.features)
    judge = jax.jit(score)
    tell = jax.jit(partial(report, numbers=numbers))

    def once(state: TrainState, batch: Mapping[str, Any], row: int) -> list[float]:
        one = {key: jnp.asarray(batch[key][row : row + 1]) for key in ("image", "proposals", "proposal_valid", "size")}
        image = records[int(batch["image_id"][row])]["image"]  # searched as it is, not as the canvas has it
        searched, _ = seconds(propose, image, search.strategy, seed, search.most)
        variables = {"params": state.params["network"], **state.model_state}
        looked, features = seconds(see, variables, one["image"], one["proposals"], one["proposal_valid"])
        judged, (scores, offsets) = seconds(judge, state.params, *features)
        told, _ = seconds(tell, scores, offsets, one["proposals"], one["proposal_valid"], one["size"])
        return [searched, looked, judged, told]

    return timed(once, data)
