"""Mask R-CNN (He, Gkioxari, Dollár & Girshick 2017, arXiv:1703.06870).

python launch.py --experiment=detection/mask_rcnn  # scenes: mask AP50 0.908, 6.2 minutes, two CPU cores
python launch.py --experiment=detection/mask_rcnn --preset=paper --data=coco:/data/coco --workers=8
"""

import dataclasses
from typing import Literal

from jaxvision.data.inputs import Inputs
from jaxvision.recipes.detection import FEW, FEWEST, HALF, SMALL, TINY, Network, Setup, View
from jaxvision.recipes.detection_schedules import joint
from jaxvision.tasks.proposals import ProposalConfig
from jaxvision.tasks.regions import RegionConfig
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment


@dataclasses.dataclass(frozen=True)
class Config:
    """Fields are flags; `quick` is the default preset."""

    data: str = "scenes:count=4096"  # with masks: scenes, coco:DIR
    train_split: str = "train"  # what is learned from, such as trainval or train[:90%]
    val_split: str = "val"  # what the figures are of, such as test
    protocol: Literal["coco"] = "coco"  # of the average precision
    batch_size: int = 8
    steps: int = 1700
    eval_every: int = 850
    network: Network = SMALL
    view: View = View()
    proposing: ProposalConfig = FEW
    detecting: RegionConfig = RegionConfig(samples=32, positives=8, detections=20)
    optimizer: Optimizer = Optimizer(lr=0.02, weight_decay=1e-4, schedule="cosine", warmup_steps=50, clip_norm=10.0)


PRESETS = {
    "quick": Config(),
    "photos": Config(  # a few photographs of one's own, from random weights
        data="coco:photos",
        batch_size=2,
        steps=600,
        eval_every=300,
        network=dataclasses.replace(HALF, anchor_sizes=(24.0, 48.0, 64.0, 96.0, 128.0)),
        view=View(240, 320, flip=0.5, max_objects=24),
        detecting=RegionConfig(samples=64, positives=16, detections=40),
    ),
    "paper": Config(  # section 3.1: ResNet-50-FPN, 8 GPUs of 2 images; the paper starts from ImageNet's weights
        data="coco:coco",
        batch_size=16,
        steps=160_000,
        eval_every=20_000,
        network=Network(),
        view=View(800, 1333, flip=0.5, max_objects=100),
        proposing=ProposalConfig(),
        detecting=RegionConfig(),
        optimizer=Optimizer(lr=0.02, weight_decay=1e-4, schedule="step", milestones=(0.75,), warmup_steps=500),
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
    """Train a detector that also outlines what it finds."""
    return joint(Setup(inputs.source(config.data, "masks"), config, inputs, config.proposing, masks=True))
