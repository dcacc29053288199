"""What the two-stage detection experiments share: networks, canvases, figures, pictures, and what predict mode writes."""

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, Protocol

import numpy as np

from jaxvision.data.canvas import MASK_SIZE, Canvases, canvases
from jaxvision.data.inputs import Inputs
from jaxvision.data.records import Source
from jaxvision.evals.coco_ap import coco_ap, encode
from jaxvision.evals.detection_errors import worst_errors
from jaxvision.evals.proposal_recall import proposal_recall
from jaxvision.evals.voc_ap import voc_ap
from jaxvision.models import faster_rcnn
from jaxvision.models.norms import NORMS
from jaxvision.models.rpn import Anchors
from jaxvision.tasks.detection import Trainable, detection, everything
from jaxvision.tasks.proposals import Proposing
from jaxvision.tasks.regions import Detecting
from jaxvision.train.hooks import evaluate, picture
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Batch, Data, Experiment, Hook, Metric, Presentation, PyTree, Stage, Task, TrainState
from jaxvision.viz import detection as viz
from jaxvision.viz.masks import paste

SHOWN = 8  # images in a picture
RECALL_AT = (10, 50, 100, 300, 1000)  # proposals an image


@dataclasses.dataclass(frozen=True)
class Network:
    """Which network looks at the image."""

    backbone: Literal["resnet_fpn", "resnet_c4", "vgg16"] = "resnet_fpn"  # with a pyramid, or one map of stride 16
    depth: int = 50  # of a ResNet
    width: float = 1.0  # fraction of the papers' channels
    norm: Literal["batch", "group"] = "batch"  # group: for batches of few images
    anchor_sizes: tuple[float, ...] = (32.0, 64.0, 128.0, 256.0, 512.0)  # pixels; of a pyramid, one for each map
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)  # height / width
    roi: Literal["align", "pool", "warp"] = "align"  # how features of RoIs are taken; a pyramid has align only

    def make(self, num_classes: int, masks: bool) -> faster_rcnn.FasterRCNN:
        """The network; ValueError where the fields do not fit each other."""
        if self.backbone == "resnet_fpn":
            if self.roi != "align":
                raise ValueError(f"--network.roi={self.roi}: a pyramid has align only; choose another network.backbone")
            anchors = Anchors(tuple((size,) for size in self.anchor_sizes), self.anchor_ratios)
            make: Any = partial(faster_rcnn.resnet_fpn, depth=self.depth, norm=NORMS[self.norm], masks=masks)
        else:
            anchors = Anchors((self.anchor_sizes,), self.anchor_ratios)
            c4 = partial(faster_rcnn.resnet_c4, depth=self.depth, norm=NORMS[self.norm], masks=masks)
            make = partial(faster_rcnn.vgg16 if self.backbone == "vgg16" else c4, operation=self.roi)
        if masks and self.backbone == "vgg16":
            raise ValueError("--network.backbone=vgg16 has no mask branch; choose resnet_fpn or resnet_c4")
        return make(num_classes, width=self.width, anchors=anchors)


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


class Settings(Protocol):
    """The fields that every detection Config has."""

    @property
    def batch_size(self) -> int: ...

    @property
    def steps(self) -> int: ...

    @property
    def eval_every(self) -> int: ...

    @property
    def protocol(self) -> str: ...

    @property
    def network(self) -> Network: ...

    @property
    def view(self) -> View: ...

    @property
    def proposing(self) -> Proposing: ...

    @property
    def detecting(self) -> Detecting: ...

    @property
    def optimizer(self) -> Optimizer: ...


@dataclasses.dataclass(frozen=True)
class Setup:
    """An experiment's parts, from which stages are made."""

    source: Source
    config: Settings
    inputs: Inputs
    masks: bool

    def task(self, stages: tuple[str, ...] = ("proposals", "regions"), trainable: Trainable = everything) -> Task:
        """The task; see `tasks.detection`. A "regions" stage before the last takes another network's proposals."""
        return detection(
            self.config.network.make(self.source.num_classes, self.masks),
            self.config.optimizer.make(self.config.steps),
            mean=self.source.mean,
            std=self.source.std,
            proposing=self.config.proposing,
            detecting=self.config.detecting,
            stages=stages,
            trainable=trainable,
        )

    def train(self) -> Data:
        """Training batches, each of one canvas."""
        view = self.config.view
        frames, records = view.make(), self.source["train"]
        transform = frames.train(
            view.max_objects, shorts=view.shorts, flip=view.flip, mask_size=self._mask_size(), fill=self.source.mean
        )
        return self.inputs.train(records, transform, self.config.batch_size, self._groups(frames, records))

    def held_out(self, records: Any) -> Data:
        """Every record once, as it is."""
        frames = self.config.view.make()
        labelled = records is self.source["val"]
        transform = frames.evaluate(
            self.config.view.max_objects, mask_size=self._mask_size() if labelled else 0, fill=self.source.mean
        )
        return self.inputs.evaluate(records, transform, self.config.batch_size, self._groups(frames, records))

    def hooks(self) -> tuple[Hook, ...]:
        """AP, recall of the proposals, the worst errors and a picture of detections, on the validation split."""
        val = self.held_out(self.source["val"])
        figures = (self._ap(), self.recall(), worst_errors(self.source.class_names))
        return (
            evaluate(figures, val, every=self.config.eval_every),
            picture("detections", val, self.draw, every=self.config.eval_every),
        )

    def recall(self) -> Metric:
        """Recall of as many proposals as there are."""
        most = self.config.proposing.test_after_nms
        return proposal_recall(tuple(n for n in RECALL_AT if n <= most) or (most,))

    def draw(self, outputs: PyTree, batch: Batch) -> np.ndarray:
        """Detections, and beside them the objects where they are known."""
        known = {k: v for k, v in batch.items() if "labels" in batch and np.any(batch["valid"]) or k not in _LABELS}
        return viz.detections(batch["image"], outputs, known, self.source.class_names, most=SHOWN)

    def presentation(self) -> Presentation:
        """Predictions in COCO's format."""
        return Presentation(self.held_out, self._describe, self.draw, partial(coco_document, self.source.class_names))

    def _ap(self) -> Metric:
        if self.config.protocol == "coco":
            return coco_ap(self.source.class_names, masks=self.masks)
        return voc_ap(self.source.class_names, self.config.protocol)  # type: ignore[arg-type]

    def _describe(self, outputs: PyTree, batch: Batch, row: int) -> dict[str, Any]:
        return describe(outputs, batch, row, self.config.detecting.score_threshold)

    def _mask_size(self) -> int:
        return MASK_SIZE if self.masks else 0

    def _groups(self, frames: Canvases, records: Any) -> Any:
        return frames.groups(records) if len(frames.shapes) > 1 else None


_LABELS = ("boxes", "labels", "valid", "ignore", "masks")


def joint(setup: Setup) -> Experiment:
    """Both stages of the network at once (Ren et al. 2015, section 3.2, approximate joint training)."""
    stage = Stage("train", setup.task(), setup.train(), setup.config.steps, setup.hooks())
    return Experiment((stage,), setup.presentation(), "val/mask_AP" if setup.masks else f"val/{_best(setup)}")


def _best(setup: Setup) -> str:
    return "AP" if setup.config.protocol == "coco" else "AP50"
