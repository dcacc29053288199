"""Faster R-CNN (Ren, He, Girshick & Sun 2015, arXiv:1506.01497), also on a pyramid (Lin et al. 2017, arXiv:1612.03144).

python launch.py --experiment=detection/faster_rcnn  # scenes: AP50 0.955, 3.8 minutes, two CPU cores
python launch.py --experiment=detection/faster_rcnn --schedule=alternating --steps=800  # AP50 0.910, 5.5 minutes
python launch.py --experiment=detection/faster_rcnn --data=voc:/data/VOC2007 --preset=paper --workers=4
python launch.py --experiment=detection/faster_rcnn --data=voc:/data/VOC2007 --preset=alternating --workers=4
python launch.py --experiment=detection/faster_rcnn --preset=voc0712 --data=voc:/data/VOC2007+voc:/data/VOC2012
python launch.py --experiment=detection/faster_rcnn --preset=coco --data=coco:/data/coco --workers=4
python launch.py --experiment=detection/faster_rcnn --preset=fpn --data=coco:/data/coco --workers=8
"""

import dataclasses
from typing import Literal

from jaxvision.data.inputs import Inputs
from jaxvision.data.pixel_scale import CAFFE_IMAGENET
from jaxvision.models.precision import in_precision
from jaxvision.recipes.alternating_training import Alternation, alternating
from jaxvision.recipes.detection import DetectorSetup
from jaxvision.recipes.detection_times import two_stage_times
from jaxvision.recipes.detector_config import CAFFE_VGG16, COCO, PHOTOS, SMOKE, VOC07, VOC_VIEW, TwoStageConfig
from jaxvision.recipes.detector_networks import (
    FEW_PROPOSALS,
    FEWEST_PROPOSALS,
    HALF,
    MORE_PROPOSALS,
    SMALL,
    TINY,
    DetectorNetwork,
)
from jaxvision.tasks import proposals, regions
from jaxvision.tasks.proposals import ProposalConfig
from jaxvision.tasks.regions import RegionConfig
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment


@dataclasses.dataclass(frozen=True)
class Config(TwoStageConfig):
    """Fields are flags; `quick` is the default preset."""

    schedule: Literal["joint", "alternating"] = "joint"  # train both stages at once, or in the paper's four steps
    steps: int = 2000  # training steps; alternating: of each of the four steps, unless alternation.steps says more
    alternation: Alternation = Alternation()
    network: DetectorNetwork = SMALL
    proposing: ProposalConfig = FEW_PROPOSALS
    detecting: RegionConfig = RegionConfig(samples=48, positives=16, detections=20)


# py-faster-rcnn on VOC07 trainval, end to end, which starts from ImageNet's weights: 70,000 updates, each by the mean
# gradient of two images. Unlike Fast R-CNN's, its definition of the network decays biases.
_PAPER = Config(
    **VOC07,
    pixels=CAFFE_IMAGENET,
    batch_size=1,
    steps=140_000,
    eval_every=20_000,
    network=DetectorNetwork("vgg16", anchor_sizes=(128.0, 256.0, 512.0), legacy_anchors=True, roi="pool"),
    view=VOC_VIEW,
    proposing=proposals.PY_FASTER_RCNN,
    detecting=regions.PY_FASTER_RCNN,
    optimizer=dataclasses.replace(CAFFE_VGG16, accumulate=2, milestones=(50 / 70,), decay_norms=True),
)

PRESETS = {
    "quick": Config(),
    "photos": Config(
        **PHOTOS,
        network=HALF,
        proposing=MORE_PROPOSALS,
        detecting=RegionConfig(samples=64, positives=16, detections=60),
    ),
    "paper": _PAPER,
    # Section 3.2 with the steps of py-faster-rcnn's alt_opt: one image for the RPN, two of 64 RoIs each for the heads.
    "alternating": dataclasses.replace(
        _PAPER,
        schedule="alternating",
        alternation=Alternation((80_000, 40_000, 80_000, 40_000), heads_batch=2),
        detecting=dataclasses.replace(regions.PY_FASTER_RCNN, samples=64, positives=16),
        optimizer=dataclasses.replace(_PAPER.optimizer, accumulate=1, milestones=(3 / 4,)),
    ),
    # Trainval of both years, at once, by the schedule of tf-faster-rcnn: one image a step, a cut after 80,000; all else
    # as above. Ren et al. (section 4.1) train in four steps.
    "voc0712": dataclasses.replace(
        _PAPER,
        data="voc:VOCdevkit/VOC2007+voc:VOCdevkit/VOC2012",
        steps=110_000,
        optimizer=dataclasses.replace(_PAPER.optimizer, accumulate=1, milestones=(8 / 11,)),
    ),
    # py-faster-rcnn's COCO: 490,000 updates of two images, a cut after 350,000, and anchors of 64 pixels too.
    "coco": dataclasses.replace(
        _PAPER,
        data="coco:coco",
        train_split="train",
        val_split="val",
        protocol="coco",
        steps=980_000,
        eval_every=70_000,
        network=dataclasses.replace(_PAPER.network, anchor_sizes=(64.0, 128.0, 256.0, 512.0)),
        optimizer=dataclasses.replace(_PAPER.optimizer, milestones=(5 / 7,)),
    ),
    "fpn": Config(  # Lin et al. 2017, section 5.2, as torchvision trains it: 26 epochs of COCO, 16 images a step
        **COCO,
        steps=190_000,
        network=DetectorNetwork(),
        proposing=ProposalConfig(),
        optimizer=Optimizer(
            lr=0.02,
            weight_decay=1e-4,
            schedule="step",
            milestones=(16 / 26, 22 / 26),
            warmup_steps=1000,
            warmup_from=0.001,
        ),
    ),
    "smoke": Config(**SMOKE, network=TINY, proposing=FEWEST_PROPOSALS),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train a two-stage detector, both stages at once (Ren et al. 2015, section 3.2) or in turn."""
    source = inputs.source(config.data, "boxes", config.pixels)
    network = config.network.make(source.num_classes, imported=inputs.normalise is not None)
    setup = DetectorSetup(config, inputs, source, in_precision(network, inputs.precision), config.proposing)
    setup.check()
    times = two_stage_times(setup)
    if config.schedule == "alternating":
        return alternating(setup, config.alternation, times)
    return Experiment.single(
        setup.task(),
        setup.train(),
        config.steps,
        (*setup.hooks(), times),
        presentation=setup.presentation(),
        best="val/AP50",
    )
