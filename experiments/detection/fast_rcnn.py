"""Fast R-CNN (Girshick 2015, arXiv:1504.08083): one look at the image, then all proposals, which are searched for.

python launch.py --experiment=detection/fast_rcnn  # scenes: AP50 0.895, 3 minutes, two CPU cores
python launch.py --experiment=detection/fast_rcnn --network.roi=align --ranks=64,32
python launch.py --experiment=detection/fast_rcnn --data=voc:/data/VOC2007 --preset=paper --workers=4
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from jaxvision.data.inputs import Inputs
from jaxvision.models.faster_rcnn import FasterRCNN, resnet_fc, vgg16
from jaxvision.models.low_rank import Ranks, truncate
from jaxvision.models.norms import NORMS
from jaxvision.recipes.detection import Searching, Setup, View
from jaxvision.recipes.detection_times import times
from jaxvision.tasks.regions import FAST_RCNN, RegionConfig
from jaxvision.train.optim import Optimizer
from jaxvision.train.steps import nothing
from jaxvision.train.types import Experiment, Stage, TrainState


@dataclasses.dataclass(frozen=True)
class Network:
    """Which network looks at the image."""

    backbone: Literal["resnet", "vgg16"] = "resnet"  # one map of stride 8, or of stride 16
    depth: int = 18  # of a ResNet
    width: float = 1.0  # fraction of the papers' channels
    norm: Literal["batch", "group"] = "batch"  # of a ResNet; group: for batches of few images
    roi: Literal["pool", "align", "warp"] = "pool"  # how features of RoIs are taken

    def make(self, num_classes: int, masks: bool = False, *, ranks: Ranks = (0, 0)) -> FasterRCNN:
        """The network, without an RPN. There is none with `masks`."""
        assert not masks
        settings: dict[str, Any] = {"width": self.width, "operation": self.roi, "ranks": ranks}
        if self.backbone == "resnet":
            network = resnet_fc(num_classes, depth=self.depth, norm=NORMS[self.norm], **settings)
        else:
            network = vgg16(num_classes, **settings)
        return network.clone(rpn=None)


@dataclasses.dataclass(frozen=True)
class Config:
    """Fields are flags; `quick` is the default preset."""

    data: str = "scenes:count=1024"  # scenes, voc:DIR, coco:DIR, tfds:NAME
    train_split: str = "train"  # what is learned from, such as trainval or train[:90%]
    val_split: str = "val"  # what the figures are of, such as test
    protocol: Literal["coco", "voc07_11pt", "voc10_area"] = "coco"  # of the average precision
    proposals: Searching = Searching(most=128)
    batch_size: int = 8
    steps: int = 2000
    eval_every: int = 1000
    network: Network = Network(width=0.25)
    ranks: Ranks = (0, 0)  # of fc6 and fc7 in testing, by truncated SVD; 0: whole
    view: View = View(192, 192)  # enlarged, as the paper does: a cell of the last map is 8 pixels
    detecting: RegionConfig = dataclasses.replace(FAST_RCNN, detections=20)
    optimizer: Optimizer = Optimizer(lr=0.02, weight_decay=1e-4, schedule="cosine", warmup_steps=50, clip_norm=10.0)


PRESETS = {
    "quick": Config(),
    "photos": Config(  # a few hundred photographs of one's own, from random weights
        data="voc:photos",
        proposals=Searching(most=1000),
        batch_size=4,
        steps=2400,
        eval_every=800,
        network=Network(width=0.5, norm="group"),
        view=View(240, 320, flip=0.5, max_objects=32),
        detecting=dataclasses.replace(FAST_RCNN, detections=60),
    ),
    "paper": Config(  # VOC07 trainval, sections 2.3 and 4.1; the paper starts from ImageNet's weights
        data="voc:VOCdevkit/VOC2007",
        train_split="trainval",
        val_split="test",
        protocol="voc07_11pt",
        proposals=Searching("rcnn"),
        batch_size=2,
        steps=40_000,
        eval_every=10_000,
        network=Network("vgg16"),
        ranks=(1024, 256),
        view=View(600, 1000, flip=0.5, max_objects=64),
        detecting=FAST_RCNN,
        optimizer=Optimizer(lr=0.001, weight_decay=5e-4, schedule="step", milestones=(3 / 4,)),
    ),
    "smoke": Config(
        data="scenes:count=8,size=64",
        proposals=Searching(most=16),
        batch_size=4,
        steps=2,
        eval_every=1,
        network=Network(width=0.0625),
        ranks=(4, 4),
        view=View(64, 64),
        detecting=RegionConfig(samples=16, positives=4, detections=8),
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Search for proposals, train a detector on them, and with `ranks` make its last layers thin."""
    setup = Setup(inputs.source(config.data, "boxes"), config, inputs, config.proposals)
    classes, ranks = setup.source.num_classes, config.ranks
    task = setup.task(("regions",), origin="batch")
    hooks = (*setup.hooks(), times(setup, config.network.make(classes)))
    stages = [
        Stage("proposals", nothing(), None, 0, make=setup.search),
        Stage("train", task, setup.train(), config.steps, hooks),
    ]
    if any(ranks):
        thin = config.network.make(classes, ranks=ranks)
        most = thin.box_head.hidden
        if not 0 <= min(ranks) <= max(ranks) <= most:
            raise ValueError(f"--ranks: fc6 and fc7 have rank {most}; choose from 1 to that, or 0 for a whole layer")
        task = setup.task(("regions",), origin="batch", network=thin)
        hooks = (*setup.hooks(), times(setup, thin))
        stages.append(
            Stage("truncated", task, setup.val(), 0, hooks, lambda state, done: _truncated(state, done, ranks))
        )
    return Experiment(tuple(stages), setup.presentation(), "val/AP50")


def _truncated(state: TrainState, done: Mapping[str, TrainState], ranks: Ranks) -> TrainState:
    trained = done["train"]
    params = {**trained.params, "box_head": truncate(trained.params["box_head"], ranks)}
    return dataclasses.replace(state, params=params, model_state=trained.model_state)
