"""What the detection experiments share: networks, canvases, stages, figures, and what predictions say."""

import dataclasses
import functools
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from jaxvision.data.canvas import MASK_SIZE, Canvases, canvases
from jaxvision.data.inputs import Inputs
from jaxvision.data.proposals import PER_FILE, Proposed, Searched, Stored, stored
from jaxvision.data.records import Records, Source
from jaxvision.evals import coco_results
from jaxvision.evals.coco_ap import coco_ap
from jaxvision.evals.detection_errors import worst_errors
from jaxvision.evals.proposal_recall import proposal_recall
from jaxvision.evals.voc_ap import Protocol as ApProtocol
from jaxvision.evals.voc_ap import voc_ap
from jaxvision.models.faster_rcnn import FasterRCNN, resnet_c4, resnet_fpn, vgg16
from jaxvision.models.layers import Layer
from jaxvision.models.norms import NORMS, FrozenBatchNorm
from jaxvision.models.rpn import Anchors
from jaxvision.recipes.settings import Run, Splits
from jaxvision.tasks.detection import Origin, detection
from jaxvision.tasks.proposals import ProposalConfig
from jaxvision.tasks.regions import RegionConfig
from jaxvision.train.hooks import evaluate, picture
from jaxvision.train.optim import Optimizer
from jaxvision.train.steps import Trainable, everything
from jaxvision.train.types import (
    Batch,
    Data,
    Hook,
    Metric,
    Predict,
    Presentation,
    PyTree,
    Result,
    Say,
    Task,
    TrainState,
)
from jaxvision.viz import detection as viz

SHOWN = 8  # images in a picture
RECALL_AT = (10, 50, 100, 300, 1000)  # proposals an image


@dataclasses.dataclass(frozen=True)
class Network:
    """Which network looks at the image."""

    backbone: Literal["resnet_fpn", "resnet_c4", "vgg16"] = "resnet_fpn"  # with a pyramid, or one map of stride 16
    depth: int = 50  # of a ResNet
    width: float = 1.0  # fraction of the papers' channels
    norm: Literal["batch", "group", "frozen"] = "batch"  # group: for batches of few images; frozen: imported, as it is
    norm_epsilon: float = 1e-5  # of frozen norms; 0 for torchvision's detectors, which were trained so
    anchor_sizes: tuple[float, ...] = (32.0, 64.0, 128.0, 256.0, 512.0)  # pixels; of a pyramid, one for each map
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)  # height / width
    roi: Literal["align", "pool", "warp"] = "align"  # how features of RoIs are taken; a pyramid has align only
    rounded_anchors: bool = False  # of a pyramid: in whole pixels, as torchvision's detectors have them
    roi_aligned: bool = True  # of a pyramid: RoIs are shifted by half a cell; not so in torchvision's detectors

    def make(self, num_classes: int, masks: bool) -> FasterRCNN:
        """The network; ValueError where the fields do not fit each other."""
        if self.backbone == "resnet_fpn":
            if self.roi != "align":
                raise ValueError(f"--network.roi={self.roi}: a pyramid has align only; choose another network.backbone")
            sizes = tuple((size,) for size in self.anchor_sizes)
            anchors = Anchors(sizes, self.anchor_ratios, rounded=self.rounded_anchors)
            make: Any = partial(resnet_fpn, depth=self.depth, norm=self._norm(), masks=masks, aligned=self.roi_aligned)
        else:
            anchors = Anchors((self.anchor_sizes,), self.anchor_ratios)
            c4 = partial(resnet_c4, depth=self.depth, norm=self._norm(), masks=masks)
            make = partial(vgg16 if self.backbone == "vgg16" else c4, operation=self.roi)
        if masks and self.backbone == "vgg16":
            raise ValueError("--network.backbone=vgg16 has no mask branch; choose resnet_fpn or resnet_c4")
        return make(num_classes, width=self.width, anchors=anchors)

    def _norm(self) -> Layer:
        return partial(FrozenBatchNorm, epsilon=self.norm_epsilon) if self.norm == "frozen" else NORMS[self.norm]


# Of the presets `quick` and `smoke`: networks for canvases of 128 and of 64 pixels, and how many proposals they take.
SMALL = Network(depth=18, width=0.25, anchor_sizes=(16.0, 32.0, 48.0, 64.0, 96.0))
TINY = Network(depth=18, width=0.125, anchor_sizes=(8.0, 16.0, 24.0, 32.0, 48.0))
FEW = ProposalConfig(
    samples=128,
    positives=64,
    train_before_nms=256,
    train_after_nms=128,
    test_before_nms=256,
    test_after_nms=100,
)
FEWEST = ProposalConfig(
    samples=32, positives=16, train_before_nms=64, train_after_nms=32, test_before_nms=64, test_after_nms=16
)

# Of the preset `photos`: what learns a few hundred photographs from nothing within the hour.
HALF = Network(depth=18, width=0.5, norm="group", anchor_sizes=(16.0, 32.0, 48.0, 64.0, 96.0))
MORE = dataclasses.replace(FEW, test_before_nms=400, test_after_nms=200)


@dataclasses.dataclass(frozen=True)
class View:
    """How images are put on their canvases."""

    short: int = 128  # pixels of the shorter side, unless the longer one then exceeds `long`
    long: int = 128  # pixels of the longer side, at most
    shorts: tuple[int, ...] = ()  # in training the shorter side is drawn from these; none may exceed `short`
    flip: float = 0.0  # probability of mirroring a training image
    max_objects: int = 8  # slots for objects; of more the largest are kept

    def make(self) -> Canvases:
        """A landscape and a portrait canvas, or one."""
        return canvases(self.short, self.long)


@dataclasses.dataclass(frozen=True)
class Searching:
    """Where objects may be."""

    strategy: Literal["fast", "quality", "rcnn"] = "fast"  # of Selective Search
    most: int = 2000  # proposals an image, the best


@runtime_checkable
class Networks(Protocol):
    """Flags from which a network is made."""

    @property
    def norm(self) -> str: ...

    def make(self, num_classes: int, masks: bool) -> FasterRCNN: ...


@runtime_checkable
class Settings(Run, Splits, Protocol):
    """The fields that every detection Config has."""

    @property
    def data(self) -> str: ...

    @property
    def protocol(self) -> Literal["coco"] | ApProtocol: ...

    @property
    def network(self) -> Networks: ...

    @property
    def view(self) -> View: ...

    @property
    def detecting(self) -> RegionConfig: ...

    @property
    def optimizer(self) -> Optimizer: ...


@dataclasses.dataclass(frozen=True)
class Setup:
    """An experiment's parts, from which stages are made."""

    source: Source
    config: Settings
    inputs: Inputs
    proposals: ProposalConfig | Searching  # of the network itself, or searched for before
    masks: bool = False

    def task(
        self,
        stages: tuple[str, ...] = ("proposals", "regions"),
        trainable: Trainable = everything,
        *,
        origin: Origin = "own",
        network: FasterRCNN | None = None,
    ) -> Task:
        """See `tasks.detection`; `network` is the config's where none is given.

        ValueError: a frozen norm without statistics to freeze.
        """
        proposing = self.proposals if isinstance(self.proposals, ProposalConfig) else ProposalConfig()
        if self.config.network.norm == "frozen" and self.inputs.normalise is None:
            raise ValueError("--network.norm=frozen never learns statistics: it needs weights from --init_from")
        return detection(
            network or self.config.network.make(self.source.num_classes, self.masks),
            self.config.optimizer.make(self.config.steps),
            mean=self.source.mean,
            std=self.source.std,
            proposing=proposing,
            detecting=self.config.detecting,
            stages=stages,
            trainable=trainable,
            origin=origin,
        )

    def train(self) -> Data:
        """Training batches, each of one canvas."""
        view, split = self.config.view, self.config.train_split
        frames, records = view.make(), self.source[split]
        transform = frames.train(
            view.max_objects,
            shorts=view.shorts,
            flip=view.flip,
            mask_size=self._mask_size(),
            max_proposals=self._most_searched(),
            fill=self.source.mean,
        )
        return later(
            lambda: self.inputs.train(
                self._proposed(split), transform, self.config.batch_size, _groups(frames, records)
            )
        )

    def val(self) -> Data:
        """Every image to be evaluated, once."""
        split = self.config.val_split
        self.source[split]  # its name is checked at once
        return later(lambda: self._once(self._proposed(split), self._mask_size()))

    def search(self, predict: Predict, state: TrainState, say: Say) -> tuple[TrainState, Result]:
        """Searches the images of both splits; what a first stage makes."""
        figures: Result = {}
        for role, split in (("train", self.config.train_split), ("val", self.config.val_split)):
            say(f"proposals: {len(self.source[split])} {role} images")
            figures[f"proposals/{role}_an_image"] = float(np.mean([len(boxes) for boxes in self._found(split)]))
        return state, figures

    def hooks(self) -> tuple[Hook, ...]:
        """AP, recall of the proposals, the worst errors and a picture of detections."""
        names, every = self.source.class_names, self.config.eval_every
        ap = average_precision(names, self.config.protocol, masks=self.masks)
        return (
            evaluate((ap, self.recall(), worst_errors(names)), self.val(), every=every),
            picture("detections", self.val(), partial(draw, class_names=names), every=every),
        )

    def recall(self) -> Metric:
        """Recall of the best 10, 50, … proposals of an image, up to as many as there are."""
        most = self._most_searched() or self.proposals.test_after_nms  # type: ignore[union-attr]
        return proposal_recall(tuple(n for n in RECALL_AT if n < most) + (most,))

    def presentation(self) -> Presentation:
        """See `presentation`."""
        return presentation(self.source.class_names, lambda files: self._once(self._searched(files), 0))

    def _once(self, records: Records, mask_size: int) -> Data:
        frames = self.config.view.make()
        transform = frames.evaluate(
            self.config.view.max_objects,
            mask_size=mask_size,
            max_proposals=self._most_searched(),
            fill=self.source.mean,
        )
        return self.inputs.evaluate(records, transform, self.config.batch_size, _groups(frames, records))

    def _proposed(self, split: str) -> Records:
        records = self.source[split]
        return records if isinstance(self.proposals, ProposalConfig) else Proposed(records, self._found(split))

    def _found(self, split: str) -> Stored:
        assert isinstance(self.proposals, Searching)
        return searched(self.inputs, self.config.data, split, self.source[split], self.proposals)

    def _searched(self, files: Records) -> Records:
        if isinstance(self.proposals, ProposalConfig):
            return files
        return Searched(files, self.proposals.strategy, self.inputs.seed, self.proposals.most)

    def _most_searched(self) -> int:
        return self.proposals.most if isinstance(self.proposals, Searching) else 0

    def _mask_size(self) -> int:
        return MASK_SIZE if self.masks else 0


def average_precision(
    class_names: Sequence[str], protocol: Literal["coco"] | ApProtocol, *, masks: bool = False
) -> Metric:
    """The figure that a Config's `protocol` names, of boxes and, with `masks`, of masks."""
    return coco_ap(class_names, masks=masks) if protocol == "coco" else voc_ap(class_names, protocol)


def presentation(
    class_names: Sequence[str], once: Callable[[Records], Data], *, min_score: float = 0.5
) -> Presentation:
    """Pictures, and predictions.json in COCO's format; `once` reads images as in evaluation."""
    return Presentation(
        once,
        coco_results.image_results,
        lambda outputs, batch: draw(
            outputs, {k: batch[k] for k in ("image", "size", "_mask")}, class_names=class_names, min_score=min_score
        ),
        partial(coco_results.document, class_names),
    )


def draw(outputs: PyTree, batch: Batch, *, class_names: Sequence[str], min_score: float = 0.5) -> np.ndarray:
    """A picture of the detections, of `min_score` and more, in the first images of a batch."""
    return viz.detections(batch["image"], outputs, batch, class_names, min_score=min_score, most=SHOWN)


def searched(inputs: Inputs, data: str, split: str, records: Records, search: Searching) -> Stored:
    """The proposals of a split's images, searched for where they are not in the workdir yet.

    Every split of every `data` has a folder of its own there: a run may be evaluated on other images than its own.
    """
    folder = inputs.folder("proposals") / f"{split.partition('[')[0]}-{zlib.crc32(f'{data} {split}'.encode()):08x}"
    workers = (inputs.workers or None) if len(records) > PER_FILE else 0  # one file cannot be shared
    return stored(records, folder, search.strategy, inputs.seed, search.most, workers=workers)


def later(make: Callable[[], Data]) -> Data:
    """What `make` gives, made when it is opened first: by then, earlier stages have left what it reads."""
    made = functools.cache(make)
    return lambda shard, shards: made()(shard, shards)


def _groups(frames: Canvases, records: Records) -> np.ndarray | None:
    return frames.groups(records) if len(frames.shapes) > 1 else None
