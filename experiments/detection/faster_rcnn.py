"""Faster R-CNN (Ren, He, Girshick & Sun 2015, arXiv:1506.01497), also on a pyramid (Lin et al. 2017, arXiv:1612.03144).

python launch.py --experiment=detection/faster_rcnn  # scenes: AP50 0.955, 3.8 minutes, two CPU cores
python launch.py --experiment=detection/faster_rcnn --schedule=alternating --steps=800  # AP50 0.910, 5.5 minutes
python launch.py --experiment=detection/faster_rcnn --data=voc:/data/VOC2007 --preset=paper --workers=4
python launch.py --experiment=detection/faster_rcnn --preset=fpn --data=coco:/data/coco --workers=8
"""

import dataclasses
from typing import Literal

from jaxvision.data.inputs import Inputs
from jaxvision.recipes.detection import FEW, FEWEST, HALF, MORE, SMALL, TINY, Network, Setup, View
from jaxvision.recipes.detection_schedules import alternating, joint
from jaxvision.recipes.detection_times import times
from jaxvision.tasks import proposals, regions
from jaxvision.tasks.proposals import ProposalConfig
from jaxvision.tasks.regions import RegionConfig
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment


@dataclasses.dataclass(frozen=True)
class Config:
    """Fields are flags; `quick` is the default preset."""

    data: str = "scenes:count=4096"  # scenes, voc:DIR, coco:DIR, tfds:NAME
    train_split: str = "train"  # what is learned from, such as trainval or train[:90%]
    val_split: str = "val"  # what the figures are of, such as test
    schedule: Literal["joint", "alternating"] = "joint"  # both stages at once, or the four steps of the paper
    protocol: Literal["coco", "voc07_11pt", "voc10_area"] = "coco"  # of the average precision
    batch_size: int = 8
    steps: int = 2000  # alternating: of each of the four steps
    eval_every: int = 1000
    network: Network = SMALL
    view: View = View()
    proposing: ProposalConfig = FEW
    detecting: RegionConfig = RegionConfig(samples=48, positives=16, detections=20)
    optimizer: Optimizer = Optimizer(lr=0.02, weight_decay=1e-4, schedule="cosine", warmup_steps=50, clip_norm=10.0)


PRESETS = {
    "quick": Config(),
    "photos": Config(  # a few hundred photographs of one's own, from random weights
        data="voc:photos",
        batch_size=4,
        steps=2400,
        eval_every=800,
        network=HALF,
        view=View(240, 320, flip=0.5, max_objects=32),
        proposing=MORE,
        detecting=RegionConfig(samples=64, positives=16, detections=60),
    ),
    "paper": Config(  # py-faster-rcnn on VOC07 trainval, end to end; the paper starts from ImageNet's weights
        data="voc:VOCdevkit/VOC2007",
        train_split="trainval",
        val_split="test",
        protocol="voc07_11pt",
        batch_size=1,
        steps=70_000,
        eval_every=10_000,
        network=Network("vgg16", anchor_sizes=(128.0, 256.0, 512.0), roi="pool"),
        view=View(600, 1000, flip=0.5, max_objects=64),
        proposing=proposals.PY_FASTER_RCNN,
        detecting=regions.PY_FASTER_RCNN,
        optimizer=Optimizer(lr=0.001, weight_decay=5e-4, schedule="step", milestones=(50 / 70,)),
    ),
    "fpn": Config(  # Lin et al. 2017, section 5.2, as torchvision trains it: 26 epochs of COCO, 16 images a step
        data="coco:coco",
        batch_size=16,
        steps=190_000,
        eval_every=20_000,
        network=Network(),
        view=View(800, 1333, flip=0.5, max_objects=100),
        proposing=ProposalConfig(),
        detecting=RegionConfig(),
        optimizer=Optimizer(
            lr=0.02, weight_decay=1e-4, schedule="step", milestones=(16 / 26, 22 / 26), warmup_steps=1000
        ),
    ),
    "smoke": Config(
        data="scenes:count=8,size=64",
        batch_size=4,
        steps=2,
        eval_every=1,
        network=TINY,
        view=View(64, 64),
        proposing=FEWEST,
        detecting=RegionConfig(samples=16, positives=4, detections=8),
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train a two-stage detector."""
    setup = Setup(inputs.source(config.data, "boxes"), config, inputs, config.proposing)
    train = alternating if config.schedule == "alternating" else joint
    return train(setup, times(setup, config.network.make(setup.source.num_classes, masks=False)))
