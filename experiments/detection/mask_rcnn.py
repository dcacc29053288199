"""Mask R-CNN (He, Gkioxari, Dollár & Girshick 2017, arXiv:1703.06870).

python launch.py --experiment=detection/mask_rcnn  # scenes: mask AP50 0.908, 6.2 minutes, two CPU cores
python launch.py --experiment=detection/mask_rcnn --preset=paper --data=coco:/data/coco --workers=8
python launch.py --experiment=detection/mask_rcnn --preset=c4 --data=coco:coco --init_from=torchvision:resnet50.pth
"""

import dataclasses
from typing import Literal

from jaxvision.data.inputs import Inputs
from jaxvision.models.precision import in_precision
from jaxvision.recipes.detection import DetectorSetup
from jaxvision.recipes.detector_config import COCO, PHOTOS_VIEW, SMOKE, TwoStageConfig
from jaxvision.recipes.detector_networks import FEW_PROPOSALS, FEWEST_PROPOSALS, HALF, SMALL, TINY, DetectorNetwork
from jaxvision.tasks.proposals import ProposalConfig
from jaxvision.tasks.regions import RegionConfig
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment


@dataclasses.dataclass(frozen=True)
class Config(TwoStageConfig):
    """Fields are flags; `quick` is the default preset."""

    data: str = "scenes:count=4096"  # where images with masks come from: scenes, coco:, yolo: or labelme:DIR
    protocol: Literal["coco"] = "coco"
    steps: int = 1700
    eval_every: int = 850
    network: DetectorNetwork = SMALL
    proposing: ProposalConfig = FEW_PROPOSALS
    detecting: RegionConfig = RegionConfig(samples=32, positives=8, detections=20)


_DETECTRON = Optimizer(
    lr=0.02, weight_decay=1e-4, schedule="step", milestones=(0.75,), warmup_steps=500, warmup_from=1 / 3
)

PRESETS = {
    "quick": Config(),
    "photos": Config(  # a few photographs of one's own, from random weights
        data="coco:photos",
        batch_size=2,
        steps=600,
        eval_every=300,
        network=dataclasses.replace(HALF, anchor_sizes=(24.0, 48.0, 64.0, 96.0, 128.0)),
        view=PHOTOS_VIEW,
        detecting=RegionConfig(samples=64, positives=16, detections=40),
    ),
    "paper": Config(  # section 3.1: ResNet-50-FPN, 8 GPUs of 2 images; the paper starts from ImageNet's weights
        **COCO,
        steps=160_000,
        network=DetectorNetwork(),
        proposing=ProposalConfig(),
        optimizer=_DETECTRON,
    ),
    # Section 3.1 on one map of stride 16, the C4 of tables 2 and 3: 64 RoIs an image, 300 proposals in the test, and
    # RoIAlign with as many samples as a bin has cells, as Detectron's.
    "c4": Config(
        **{**COCO, "detecting": RegionConfig(samples=64, positives=16)},
        steps=160_000,
        network=DetectorNetwork("resnet_c4", roi_samples=0),
        proposing=ProposalConfig(train_before_nms=12_000, test_before_nms=6000, test_after_nms=300),
        optimizer=_DETECTRON,
    ),
    "smoke": Config(**SMOKE, network=TINY, proposing=FEWEST_PROPOSALS),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train a two-stage detector with a mask branch, all of it at once (section 3.1)."""
    source = inputs.source(config.data, "masks", config.pixels)
    network = config.network.make(source.num_classes, masks=True, imported=inputs.normalise is not None)
    setup = DetectorSetup(config, inputs, source, in_precision(network, inputs.precision), config.proposing)
    setup.check()
    return Experiment.single(
        setup.task(),
        setup.train(),
        config.steps,
        setup.hooks(),
        presentation=setup.presentation(),
        best="val/mask_AP50",
    )
