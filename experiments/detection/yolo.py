"""YOLO v1 (Redmon, Divvala, Girshick & Farhadi 2016, arXiv:1506.02640).

python launch.py --experiment=detection/yolo
python launch.py --experiment=detection/yolo --init_from=workdir:runs/classification-yolo  # a pre-trained trunk
python launch.py --experiment=detection/yolo --preset=paper --init_from=workdir:runs/imagenet --workers=8
python launch.py --experiment=detection/yolo --preset=darknet --workers=8
"""

import dataclasses
from functools import partial
from typing import Literal

import numpy as np

from experiments.classification import first_kernel
from experiments.detection import average_precision, draw, presentation
from experiments.detection._times import yolo_times
from jaxvision.data import stretch
from jaxvision.data.inputs import Inputs
from jaxvision.data.records import Channels, Records
from jaxvision.data.transforms import Transform
from jaxvision.evals.detection_errors import worst_errors
from jaxvision.models.yolo import YOLO
from jaxvision.tasks.yolo import Reporting, yolo
from jaxvision.train.hooks import evaluate, parameters, picture
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Data, Experiment
from jaxvision.viz import filters
from jaxvision.viz.cells import cells


@dataclasses.dataclass(frozen=True)
class Network:
    """Which network looks at the image."""

    net: Literal["paper", "fast", "darknet"] = "paper"  # 24 layers, 9, or 24 with batch norm and a local layer
    grid: int = 7  # S: cells a side
    boxes: int = 2  # B: boxes a cell
    width: float = 1.0  # fraction of the paper's channels
    stride: int = 64  # pixels of a cell of the last map: 64 as published, 8, 16 or 32 for images of few pixels
    batch_norm: bool = False  # also where the net is published without

    def make(self, num_classes: int) -> YOLO:
        """The network."""
        batch_norm = True if self.batch_norm else None
        return YOLO(num_classes, self.net, self.grid, self.boxes, self.width, self.stride, batch_norm)


@dataclasses.dataclass(frozen=True)
class View:
    """How images are brought to the network's size."""

    size: int = 448  # pixels of both sides; the aspect ratio is not kept
    jitter: float = 0.2  # in training: fraction of a side by which each edge may move
    saturation: float = 1.5  # and factors by which colours change at most
    exposure: float = 1.5
    hue: float = 0.0  # turns of the colour circle, at most 0.5
    flip: float = 0.5  # probability of mirroring
    max_objects: int = 64  # slots for objects; of more the largest are kept

    def train(self, fill: Channels) -> Transform:
        """See `data.stretch.jittered`."""
        return stretch.jittered(
            self.size,
            self.max_objects,
            jitter=self.jitter,
            saturation=self.saturation,
            exposure=self.exposure,
            hue=self.hue,
            flip=self.flip,
            fill=fill,
        )


@dataclasses.dataclass(frozen=True)
class Loss:
    """Weights of the loss's terms (section 2.2)."""

    coord: float = 5.0  # of boxes' centres and sides
    no_object: float = 0.5  # of the confidence of boxes without an object


@dataclasses.dataclass(frozen=True)
class Config:
    """Fields are flags; `quick` is the default preset."""

    data: str = "scenes:count=16384"  # scenes, voc:DIR, voc:DIR+voc:DIR, coco:DIR, tfds:NAME
    train_split: str = "train"  # what is learned from, such as trainval or train[:90%]
    val_split: str = "val[:256]"  # what the figures are of, such as test
    protocol: Literal["coco", "voc07_11pt", "voc10_area"] = "coco"  # of the average precision
    batch_size: int = 32
    steps: int = 1200
    eval_every: int = 400
    network: Network = Network(grid=8, width=0.125, stride=16, batch_norm=True)
    view: View = View(size=128, jitter=0.1, flip=0.0, max_objects=8)
    loss: Loss = Loss()
    reporting: Reporting = Reporting(detections=20)
    optimizer: Optimizer = Optimizer("adam", lr=0.001, schedule="cosine", warmup_steps=50, clip_norm=10.0)


# VOC's two years are 16,551 images, so 135 epochs of them are 34,900 steps of 64. The paper slowly raises the rate over
# "the first epochs"; how many it does not say, so darknet's 600 steps.
_PAPER = Config(
    data="voc:VOCdevkit/VOC2007+voc:VOCdevkit/VOC2012",
    train_split="trainval",
    val_split="test",
    protocol="voc07_11pt",
    batch_size=64,
    steps=34_900,
    eval_every=2500,
    network=Network(),
    view=View(),
    reporting=Reporting(score_threshold=0.001),
    optimizer=Optimizer(
        lr=0.01,
        weight_decay=5e-4,
        decay_norms=True,
        schedule="step",
        milestones=(75 / 135, 105 / 135),
        warmup_steps=600,
        warmup_from=0.1,
    ),
)

PRESETS = {
    "quick": Config(),
    "photos": Config(  # a few hundred photographs of one's own, from random weights
        data="voc:photos",
        val_split="val",
        batch_size=8,
        steps=2400,
        eval_every=800,
        network=Network(grid=14, width=0.25, stride=32, batch_norm=True),
        view=View(size=224),
        reporting=Reporting(detections=60),
    ),
    "paper": _PAPER,
    "fast": dataclasses.replace(_PAPER, network=Network("fast")),
    "darknet": dataclasses.replace(  # yolov1/yolo.train.cfg, whose rate begins at a tenth of the highest
        _PAPER,
        steps=40_000,
        network=Network("darknet", boxes=3),
        view=View(hue=0.1),
        optimizer=dataclasses.replace(_PAPER.optimizer, lr=0.005, milestones=(0.5, 0.75)),
    ),
    "smoke": Config(
        data="scenes:count=8,size=32",
        val_split="val",
        batch_size=4,
        steps=2,
        eval_every=1,
        network=Network("fast", grid=3, width=1 / 64, stride=16),
        view=View(size=32, max_objects=4),
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train a detector that looks at the image once."""
    source = inputs.source(config.data)
    names, every = source.class_names, config.eval_every
    network = config.network.make(source.num_classes)
    task = yolo(
        network,
        config.optimizer.make(config.steps),
        mean=source.mean,
        std=source.std,
        coord=config.loss.coord,
        no_object=config.loss.no_object,
        reporting=config.reporting,
    )

    def once(records: Records) -> Data:
        return inputs.evaluate(records, stretch.stretched(config.view.size, config.view.max_objects), config.batch_size)

    val = once(source[config.val_split])
    figures = (average_precision(names, config.protocol), worst_errors(names))
    return Experiment.single(
        task,
        inputs.train(source[config.train_split], config.view.train(source.mean), config.batch_size),
        config.steps,
        (
            evaluate(figures, val, every=every),
            picture("detections", val, partial(draw, class_names=names), every=every),
            picture("cells", val, lambda outputs, batch: cells(batch["image"], outputs, batch, names), every=every),
            yolo_times(network, source.mean, source.std, config.reporting, val),
            parameters("filters", lambda state: filters.filters(np.asarray(first_kernel(state.params)))),
        ),
        presentation=presentation(names, once),
        best="val/AP50",
    )
