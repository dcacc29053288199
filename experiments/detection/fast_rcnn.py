"""Fast R-CNN (Girshick 2015, arXiv:1504.08083): one pass over the image for all its proposals.

python launch.py --experiment=detection/fast_rcnn  # scenes: AP50 0.895, 3 minutes, two CPU cores
python launch.py --experiment=detection/fast_rcnn --network.roi=align --ranks=64,32
python launch.py --experiment=detection/fast_rcnn --data=voc:/data/VOC2007 --preset=paper --workers=4
"""

import dataclasses
from collections.abc import Mapping
from typing import Literal

from jaxvision.data.inputs import Inputs
from jaxvision.data.pixel_scale import CAFFE_IMAGENET
from jaxvision.models.faster_rcnn import FasterRCNN, resnet_fc, vgg16
from jaxvision.models.low_rank import Ranks, truncate
from jaxvision.models.norms import NORMS
from jaxvision.models.precision import in_precision
from jaxvision.recipes.detection import DetectorSetup
from jaxvision.recipes.detection_times import two_stage_times
from jaxvision.recipes.detector_config import CAFFE_VGG16, PHOTOS, SMOKE, VOC07, VOC_VIEW, DetectorView, TwoStageConfig
from jaxvision.recipes.searched_proposals import SelectiveSearchFlags
from jaxvision.tasks.regions import FAST_RCNN, RegionConfig
from jaxvision.train.steps import nothing
from jaxvision.train.types import Experiment, Hook, Stage, TrainState


@dataclasses.dataclass(frozen=True)
class FastRCNNNetwork:
    """Flags from which the network is made."""

    backbone: Literal["resnet", "vgg16"] = "resnet"  # one map of stride 8, or of stride 16
    depth: int = 18  # layers of a ResNet
    width: float = 1.0  # number of channels, as a fraction of the papers'
    norm: Literal["batch", "group"] = "batch"  # norm of a ResNet; group: for small batches
    roi: Literal["pool", "align", "warp"] = "pool"  # how features of RoIs are computed

    def make(self, num_classes: int, ranks: Ranks = (0, 0)) -> FasterRCNN:
        """Build the network, which has no RPN; `ranks` are those of fc6 and fc7, 0 for a whole layer."""
        if self.backbone == "vgg16":
            network = vgg16(num_classes, width=self.width, operation=self.roi, ranks=ranks)
        else:
            norm = NORMS[self.norm]
            network = resnet_fc(
                num_classes, depth=self.depth, width=self.width, norm=norm, operation=self.roi, ranks=ranks
            )
        return network.clone(rpn=None)


@dataclasses.dataclass(frozen=True)
class Config(TwoStageConfig):
    """Fields are flags; `quick` is the default preset."""

    data: str = "scenes:count=1024"
    proposals: SelectiveSearchFlags = SelectiveSearchFlags(most=128)
    network: FastRCNNNetwork = FastRCNNNetwork(width=0.25)
    ranks: Ranks = (0, 0)  # ranks of fc6 and fc7 in testing, after truncated SVD; 0: the whole layer
    view: DetectorView = DetectorView(192, 192)  # enlarged, as in the paper: a cell of the last map is 8 pixels
    detecting: RegionConfig = dataclasses.replace(FAST_RCNN, detections=20)


PRESETS = {
    "quick": Config(),
    "photos": Config(
        **PHOTOS,
        proposals=SelectiveSearchFlags(most=1000),
        network=FastRCNNNetwork(width=0.5, norm="group"),
        detecting=dataclasses.replace(FAST_RCNN, detections=60),
    ),
    "paper": Config(  # VOC07 trainval, sections 2.3 and 4.1; the paper starts from ImageNet's weights
        **VOC07,
        pixels=CAFFE_IMAGENET,
        proposals=SelectiveSearchFlags("rcnn"),
        batch_size=2,
        steps=40_000,
        eval_every=10_000,
        network=FastRCNNNetwork("vgg16"),
        ranks=(1024, 256),
        view=VOC_VIEW,
        detecting=FAST_RCNN,
        optimizer=dataclasses.replace(CAFFE_VGG16, milestones=(3 / 4,)),
    ),
    "smoke": Config(
        **SMOKE,
        proposals=SelectiveSearchFlags(most=16),
        network=FastRCNNNetwork(depth=10, width=0.0625),
        ranks=(4, 4),
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Search for proposals, train a detector on them, and with `ranks` test it with truncated layers too."""
    source = inputs.source(config.data, "boxes", config.pixels)
    network = in_precision(config.network.make(source.num_classes), inputs.precision)
    whole = DetectorSetup(config, inputs, source, network, config.proposals)
    whole.check()
    stages = [
        Stage("proposals", nothing(), None, 0, make=whole.search),
        Stage("train", whole.task(("regions",), origin="batch"), whole.train(), config.steps, _hooks(whole)),
    ]
    if any(config.ranks):
        thin = in_precision(_truncated(config, source.num_classes), inputs.precision)
        truncated = dataclasses.replace(whole, network=thin)
        task = truncated.task(("regions",), origin="batch")

        def truncate_trained(state: TrainState, done: Mapping[str, TrainState]) -> TrainState:
            trained = done["train"]
            params = {**trained.params, "box_head": truncate(trained.params["box_head"], config.ranks)}
            return dataclasses.replace(state, params=params, model_state=trained.model_state)

        stages.append(Stage("truncated", task, truncated.val(), 0, _hooks(truncated), truncate_trained))
    return Experiment(tuple(stages), whole.presentation(), "val/AP50")


def _truncated(config: Config, num_classes: int) -> FasterRCNN:
    """Build the network with fc6 and fc7 of the ranks of the flags (section 3.1). ValueError: there is no such rank."""
    network, ranks = config.network.make(num_classes, config.ranks), config.ranks
    most = network.box_head.hidden
    if not 0 <= min(ranks) <= max(ranks) <= most:
        raise ValueError(f"--ranks: fc6 and fc7 have rank {most}; choose from 1 to that, or 0 for a whole layer")
    return network


def _hooks(setup: DetectorSetup) -> tuple[Hook, ...]:
    return (*setup.hooks(), two_stage_times(setup))
