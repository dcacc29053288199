"""RoIPool, RoIWarp and RoIAlign in one Mask R-CNN, and masks by sigmoid or softmax (He et al. 2017, tables 2b and 2c).

python launch.py --experiment=detection/pooling
python launch.py --experiment=detection/pooling --only=pool,align --seeds=3
python launch.py --experiment=detection/pooling --preset=paper --data=coco:/data/coco --workers=8

All have one map, on which RoIPool rounds boxes to whole cells. The misalignment is also measured in pixels, without
training, and drawn on one object.
"""

import dataclasses
from functools import partial
from typing import Any, Literal

from experiments.detection import mask_rcnn
from jaxvision.data.inputs import Inputs, Opened
from jaxvision.recipes.comparison import chosen, compare, variant, with_shared
from jaxvision.recipes.comparison_table import Comparison, Measure, Runs
from jaxvision.recipes.detection import DetectorSetup
from jaxvision.recipes.detector_networks import DetectorNetwork
from jaxvision.recipes.roi_misalignment import misaligned_objects
from jaxvision.recipes.run_config import SplitNames
from jaxvision.train.types import Experiment, Result

CHANGES: dict[str, dict[str, Any]] = {
    "pool": {"network__roi": "pool"},
    "warp": {"network__roi": "warp"},
    "align": {"network__roi": "align"},
    "align_softmax": {"network__roi": "align", "detecting__masks": "softmax"},
}
MEASURES = (
    Measure("val/AP", "box AP", "average precision"),
    Measure("val/mask_AP", "mask AP", "average precision"),
    Measure("val/mask_AP50", "mask AP50", "average precision"),
    Measure("val/mask_AP75", "mask AP75", "average precision"),
)


@dataclasses.dataclass(frozen=True)
class Config(SplitNames):
    """Fields are flags; `quick` is the default preset."""

    # Not a SplitConfig: networks are evaluated at their end, so there is no eval_every.
    data: str = "scenes:count=2048"  # where images with masks come from: scenes, coco:, yolo: or labelme:DIR
    variants: tuple[str, ...] = tuple(CHANGES)  # variants to compare
    seeds: int = 1  # trainings of each variant, each with other weights and batches
    recipe: Literal["quick", "c4", "smoke"] = "quick"  # preset of detection/mask_rcnn for all other settings
    batch_size: int = 8  # images in a training step
    steps: int = 800  # training steps of each variant
    network: DetectorNetwork = DetectorNetwork("resnet_fc", 18, 0.25, anchor_sizes=(24.0, 36.0, 56.0), map_stride=8)


PRESETS = {
    "quick": Config(),
    "paper": Config(  # ResNet-50-C4 on COCO, 8 GPUs of 2 images
        data="coco:coco",
        recipe="c4",
        batch_size=16,
        steps=160_000,
        network=mask_rcnn.PRESETS["c4"].network,
    ),
    "smoke": Config(
        data="scenes:count=8,size=64",
        variants=("pool", "align_softmax"),
        recipe="smoke",
        batch_size=4,
        steps=2,
        network=DetectorNetwork("resnet_fc", 10, 0.0625, anchor_sizes=(16.0, 24.0)),
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train a Mask R-CNN with each operation; then compare them."""
    variants = {name: variant(mask_rcnn, settings(config), **changes) for name, changes in CHANGES.items()}
    builds = chosen("--variants", config.variants, variants)
    comparison = Comparison(
        "Mask R-CNN by how features of a region are cut out",
        "features",
        MEASURES,
        pairs=(("align", "pool"), ("align", "warp"), ("warp", "pool"), ("align", "align_softmax")),
        notes=(f"{config.data}; {config.steps} steps of {config.batch_size} images; {config.network}.",),
        more=partial(_misalignment, config, inputs),
    )
    return compare(builds, inputs, config.seeds, comparison)


def settings(config: Config) -> mask_rcnn.Config:
    """Return the settings that all variants have in common."""
    shared = ("data", "train_split", "val_split", "batch_size", "steps", "network")
    return with_shared(mask_rcnn.PRESETS[config.recipe], config, shared, eval_every=config.steps)


def _misalignment(config: Config, inputs: Inputs, runs: Runs) -> Result:
    """Measure on the evaluated objects how far the bins of each operation are from those of the boxes."""
    own, source = settings(config), Opened(*inputs).source(config.data, "masks")
    network = config.network.make(source.num_classes, masks=True)
    (stride,) = network.rois.strides.values()
    setup = DetectorSetup(own, inputs, source, network, own.proposing)
    return misaligned_objects(setup.val(), stride, network.rois.size)
