"""YOLO v1 (Redmon, Divvala, Girshick & Farhadi 2016, arXiv:1506.02640).

python launch.py --experiment=detection/yolo  # scenes: AP50 0.934, 6 minutes on two idle cores
python launch.py --experiment=detection/yolo --init_from=workdir:runs/classification-yolo --pretraining.steps=0
python launch.py --experiment=detection/yolo --preset=photos --data=voc:~/cells
python launch.py --experiment=detection/yolo --preset=paper --init_from=workdir:runs/imagenet --workers=8
python launch.py --experiment=detection/yolo --preset=darknet --workers=8

The presets for few images, quick and photos, have `network.per_cell`: a fully connected layer learns the look of
objects for each cell separately, which takes many images. The other presets are as published.
"""

import dataclasses
import functools
from collections.abc import Mapping
from functools import partial
from typing import Literal

import numpy as np

from jaxvision.channels import Channels
from jaxvision.data import stretch
from jaxvision.data.inputs import Inputs
from jaxvision.data.object_counts import Slots, evaluation_slots, rounded
from jaxvision.data.pixel_scale import UNIT
from jaxvision.data.records import Records, Source, evenly
from jaxvision.data.transforms import Transform
from jaxvision.evals.classification import accuracy
from jaxvision.evals.detection_curves import detection_curves
from jaxvision.evals.detection_errors import worst_errors
from jaxvision.evals.evaluated import evaluated
from jaxvision.models.precision import in_precision
from jaxvision.models.yolo import YOLO, Classifier
from jaxvision.recipes.classification import first_kernel
from jaxvision.recipes.detection_data import check_objects, slots_of
from jaxvision.recipes.detection_outputs import SHOWN, average_precision, draw, file_names, presentation, results_file
from jaxvision.recipes.detection_times import yolo_times
from jaxvision.recipes.detector_config import VOC07, DetectorConfig
from jaxvision.recipes.lazy_data import lazily
from jaxvision.tasks.classification import classification
from jaxvision.tasks.yolo import Reporting, yolo
from jaxvision.train.hooks import evaluate, parameters, picture
from jaxvision.train.optim import Optimizer
from jaxvision.train.rates import log_rate
from jaxvision.train.types import Batch, Data, Experiment, PyTree, Stage, Task, TrainState
from jaxvision.viz import filters
from jaxvision.viz.cells import cells

SHOWN_FROM = 0.2  # least score of a detection that is drawn, darknet's default: scores are products of two below 1


@dataclasses.dataclass(frozen=True)
class YOLONetwork:
    """Flags from which the network is made."""

    net: Literal["paper", "fast", "darknet", "tiny"] = "paper"  # of 24 layers, 9, darknet's later 24, darknet's 8
    grid: int = 7  # S: the number of cells along each side of the image
    boxes: int = 2  # B: the number of boxes that a cell predicts
    width: float = 1.0  # number of channels, as a fraction of the paper's
    stride: int = 64  # pixels of the image for a cell of the last map: 64 as published; 8, 16 or 32 for small images
    batch_norm: bool = False  # batch normalisation even where the net is published without
    dropout: float = 0.5  # fraction of the last layer's inputs that is dropped in training
    per_cell: bool = False  # one 1x1 convolution as last layer, shared by all cells, in place of fully connected ones

    def make(self, num_classes: int) -> YOLO:
        """Build the detector."""
        outputs = (num_classes, self.net, self.grid, self.boxes)
        return YOLO(*outputs, self.width, self.stride, self._norm(), self.dropout, self.per_cell)

    def classifier(self, num_classes: int) -> Classifier:
        """Build a classifier with the detector's first convolutions."""
        return Classifier(num_classes, self.net, self.width, self.stride, self._norm())

    def _norm(self) -> bool | None:
        return True if self.batch_norm else None


@dataclasses.dataclass(frozen=True)
class YOLOView:
    """Flags of the size that images are stretched to, and of their augmentation."""

    size: int = 448  # pixels of both sides; the aspect ratio is not kept
    jitter: float = 0.2  # training: largest shift of each edge of the image, as a fraction of the side
    saturation: float = 1.5  # training: largest factor by which saturation rises or falls
    exposure: float = 1.5  # training: largest factor by which brightness rises or falls
    hue: float = 0.0  # training: largest change of hue, in turns of the colour circle, at most 0.5
    flip: float = 0.5  # probability of mirroring a training image
    max_objects: int = 0  # slots for objects of a training image, the smallest beyond are ignored; 0: room for all

    def train(self, slots: Slots, fill: Channels) -> Transform:
        """Return the augmentation of training images, see `data.stretch.jittered`; `fill` is the color around them."""
        return stretch.jittered(
            self.size,
            slots.objects,
            regions=slots.regions,
            jitter=self.jitter,
            saturation=self.saturation,
            exposure=self.exposure,
            hue=self.hue,
            flip=self.flip,
            fill=fill,
        )

    def one_object(self, size: int, fill: Channels) -> Transform:
        """Return the transform to one object of `size` pixels a side, see `data.stretch.one_object`."""
        return stretch.one_object(
            size,
            saturation=self.saturation,
            exposure=self.exposure,
            hue=self.hue,
            flip=self.flip,
            fill=fill,
        )


@dataclasses.dataclass(frozen=True)
class YOLOPretraining:
    """Flags of a stage in which the trunk classifies single objects, cut from the training images.

    The paper's trunk learns from a million other images (`classification/yolo`). Where there are none, detectors
    that start from this stage have the best average precision on few images.
    """

    steps: int = 0  # training steps; 0: no such stage
    batch_size: int = 64  # objects in a step
    size: int = 64  # pixels of both sides of a window with one object; the paper's are half of view.size
    optimizer: Optimizer = Optimizer(lr=0.1, schedule="cosine", warmup_steps=50, clip_norm=10.0)


@dataclasses.dataclass(frozen=True)
class YOLOLossWeights:
    """Weights of the terms of the loss (section 2.2)."""

    coord: float = 5.0  # weight of the errors of boxes' centres and sides
    no_object: float = 0.5  # weight of the confidence of boxes without an object


@dataclasses.dataclass(frozen=True)
class Config(DetectorConfig):
    """Fields are flags; `quick` is the default preset."""

    data: str = "scenes:count=16384,size=64"
    val_split: str = "val[:256]"
    batch_size: int = 16
    steps: int = 2000
    eval_every: int = 500
    network: YOLONetwork = YOLONetwork("tiny", grid=8, width=0.5, stride=16, dropout=0.0, per_cell=True)
    view: YOLOView = YOLOView(size=128, jitter=0.1, saturation=1.0, exposure=1.0, flip=0.0)
    pretraining: YOLOPretraining = YOLOPretraining(steps=800, size=40)
    loss: YOLOLossWeights = YOLOLossWeights()
    reporting: Reporting = Reporting(detections=20)
    optimizer: Optimizer = Optimizer("adam", lr=0.001, schedule="cosine", warmup_steps=50, clip_norm=5.0)


# VOC's two years are 16,551 images, so 135 epochs of them are 34,900 steps of 64. The paper slowly raises the rate over
# "the first epochs"; how many it does not say, so darknet's 600 steps. Neither biases nor norms decay in darknet.
_PAPER = Config(
    **{**VOC07, "data": "voc:VOCdevkit/VOC2007+voc:VOCdevkit/VOC2012"},
    pixels=UNIT,
    batch_size=64,
    steps=34_900,
    eval_every=2500,
    network=YOLONetwork(),
    view=YOLOView(),
    pretraining=YOLOPretraining(),
    reporting=Reporting(score_threshold=0.001),
    optimizer=Optimizer(
        lr=0.01,
        weight_decay=5e-4,
        schedule="step",
        milestones=(75 / 135, 105 / 135),
        warmup_steps=600,
        warmup_from=0.1,
    ),
)

PRESETS = {
    "quick": Config(),
    "paper": _PAPER,
    "fast": dataclasses.replace(_PAPER, network=YOLONetwork("fast")),
    "darknet": dataclasses.replace(  # yolov1/yolo.train.cfg, whose rate begins at a tenth of the highest
        _PAPER,
        steps=40_000,
        network=YOLONetwork("darknet", boxes=3),
        view=YOLOView(hue=0.1),
        optimizer=dataclasses.replace(  # the biases of `local`, one for each cell and channel, do not decay either
            _PAPER.optimizer, lr=0.005, milestones=(0.5, 0.75), decay_scale=("local/bias$=0",)
        ),
    ),
    "tiny": dataclasses.replace(  # yolov1-tiny.cfg, whose rate begins at a twentieth of the highest
        _PAPER,
        steps=40_000,
        network=YOLONetwork("tiny", dropout=0.0),
        view=YOLOView(hue=0.1),
        optimizer=dataclasses.replace(_PAPER.optimizer, milestones=(0.5, 0.75), warmup_steps=800, warmup_from=0.05),
    ),
    "photos": Config(  # a few hundred photographs of one's own, from random weights
        data="voc:photos",
        val_split="val",
        batch_size=16,
        steps=1000,
        eval_every=250,
        network=YOLONetwork("tiny", grid=16, width=0.5, stride=16, dropout=0.0, per_cell=True),
        view=YOLOView(size=256, hue=0.02),
        pretraining=YOLOPretraining(steps=400),
        reporting=Reporting(detections=60),
    ),
    "smoke": Config(
        data="scenes:count=8,size=32",
        val_split="val",
        batch_size=4,
        steps=2,
        eval_every=1,
        network=YOLONetwork("tiny", grid=2, width=1 / 16, stride=16, per_cell=True),
        view=YOLOView(size=32),
        pretraining=YOLOPretraining(steps=2, batch_size=4, size=16),
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train the detector, after its trunk where `pretraining` has steps."""
    source = inputs.source(config.data, "boxes", config.pixels)
    names, every = source.class_names, config.eval_every
    train, val = source[config.train_split], source[config.val_split]
    most = {"--reporting.detections": config.reporting.detections}
    splits = config.train_split, config.val_split
    check_objects(source, config.data, *splits, training=inputs.training, most=most)
    network = in_precision(config.network.make(source.num_classes), inputs.precision)
    # Checked before the trunk is trained.
    if config.network.per_cell and config.network.grid != (cells_a_side := network.last_map(config.view.size)):
        raise ValueError(
            f"--network.grid={config.network.grid}: set it to {cells_a_side}, view.size by stride, for per_cell"
        )

    def each_once(records: Records, slots: int) -> Data:
        return inputs.evaluate(records, stretch.stretched(config.view.size, slots), config.batch_size)

    slots = slots_of(train, config.train_split, config.view.max_objects, training=inputs.training)
    val_slots = functools.cache(lambda: evaluation_slots(val))  # may have to read every image
    held_out = lazily(lambda: each_once(val, val_slots()))
    sample = lazily(lambda: each_once(evenly(val, min(SHOWN, config.batch_size)), val_slots()))
    metrics = (
        evaluated(len(val), len(source.left_out)),
        average_precision(names, config.protocol),
        detection_curves(names),
        worst_errors(names, min_score=SHOWN_FROM, name_of=file_names(val)),
        *results_file(inputs, val),
    )

    def draw_cells(outputs: PyTree, batch: Batch) -> np.ndarray:
        return cells(batch["image"], outputs, batch, names, min_score=SHOWN_FROM)

    detect = Stage(
        "train",
        _task(network, config, source),
        inputs.train(train, config.view.train(slots, source.mean), config.batch_size),
        config.steps,
        (
            evaluate(metrics, held_out, every=every),
            picture("detections", sample, partial(draw, class_names=names, min_score=SHOWN_FROM), every=every),
            picture("cells", sample, draw_cells, every=every),
            yolo_times(network, source.mean, source.std, config.reporting, held_out),
            parameters("filters", lambda state: filters.filters(np.asarray(first_kernel(state.params)))),
        ),
    )
    stages: tuple[Stage, ...] = (detect,)
    if config.pretraining.steps:
        stages = (pretrain(config, source, inputs), detect._replace(warm_start=_trunk))
    read = partial(each_once, slots=rounded(0))
    return Experiment(
        stages, presentation(names, read, min_score=SHOWN_FROM, prepare={"stretch": config.view.size}), "val/AP50"
    )


def _task(network: YOLO, config: Config, source: Source) -> Task:
    """Return the task of detecting with `network`."""
    optimizer = config.optimizer.at(config.batch_size)
    task = yolo(
        network,
        optimizer.make(config.steps),
        mean=source.mean,
        std=source.std,
        coord=config.loss.coord,
        no_object=config.loss.no_object,
        reporting=config.reporting,
    )
    return log_rate(task, optimizer, config.steps)


def pretrain(config: Config, source: Source, inputs: Inputs) -> Stage:
    """Return the stage that trains the trunk as a classifier of single objects.

    Args:
        config: the experiment's flags.
        source: the images and their objects.
        inputs: how the data is read.

    Returns:
        The stage `pretrain`.
    """
    pretraining = config.pretraining
    window = config.view.one_object(pretraining.size, source.mean)
    task = classification(
        in_precision(config.network.classifier(source.num_classes), inputs.precision),
        pretraining.optimizer.make(pretraining.steps),
        mean=source.mean,
        std=source.std,
    )
    task = log_rate(task, pretraining.optimizer, pretraining.steps)
    held_out = inputs.evaluate(source[config.val_split], window, pretraining.batch_size)
    train = inputs.train(source[config.train_split], window, pretraining.batch_size)
    return Stage(
        "pretrain", task, train, pretraining.steps, (evaluate((accuracy(top=(1,)),), held_out, name="objects"),)
    )


def _trunk(state: TrainState, done: Mapping[str, TrainState]) -> TrainState:
    """Take the convolutions of the classifier and their running statistics."""
    learned = done["pretrain"]
    shared = {name: layer for name, layer in learned.params.items() if name in state.params}
    model_state = {name: {**tree, **learned.model_state[name]} for name, tree in state.model_state.items()}
    return dataclasses.replace(state, params={**state.params, **shared}, model_state=model_state)
