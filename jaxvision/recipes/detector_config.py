"""Flags that the detection experiments share, and the parts of presets that several of them have in common."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from jaxvision.data.canvas import Canvases, canvases
from jaxvision.data.pixel_scale import AS_DATA, PixelScale
from jaxvision.recipes.run_config import SplitConfig
from jaxvision.tasks.regions import RegionConfig
from jaxvision.train.optim import Optimizer


@dataclasses.dataclass(frozen=True)
class DetectorView:
    """Flags of the size that images are brought to, and of their augmentation."""

    short: int = 128  # pixels of the shorter side, unless the longer one would then exceed `long`
    long: int = 128  # most pixels of the longer side
    shorts: tuple[int, ...] = ()  # training draws the shorter side from these; none may exceed `short`
    flip: float = 0.0  # probability of mirroring a training image
    max_objects: int = 0  # slots for objects of a training image, the smallest beyond are ignored; 0: room for all

    def make(self) -> Canvases:
        """Return a landscape and a portrait canvas, or one where both are the same."""
        return canvases(self.short, self.long)


@dataclasses.dataclass(frozen=True)
class DetectorConfig(SplitConfig):
    """Fields that every detector has that is trained with evaluations in between."""

    data: str = "scenes:count=4096"  # where images come from: scenes, voc:DIR, voc:DIR+voc:DIR, coco:DIR, tfds:NAME
    protocol: Literal["coco", "voc07_11pt", "voc10_area"] = "coco"  # how average precision is computed
    pixels: PixelScale = AS_DATA
    optimizer: Optimizer = Optimizer(lr=0.02, weight_decay=1e-4, schedule="cosine", warmup_steps=50, clip_norm=10.0)


@dataclasses.dataclass(frozen=True)
class TwoStageConfig(DetectorConfig):
    """Fields of detectors that classify proposals; the defaults are those of the presets `quick`."""

    batch_size: int = 8
    steps: int = 2000
    eval_every: int = 1000
    view: DetectorView = DetectorView()
    detecting: RegionConfig = RegionConfig()


VOC07: Mapping[str, Any] = {
    "data": "voc:VOCdevkit/VOC2007",
    "train_split": "trainval",
    "val_split": "test",
    "protocol": "voc07_11pt",
}
"""The data on which all papers from R-CNN to YOLO report, and their average precision."""

CAFFE_VGG16 = Optimizer(
    lr=0.001,
    rate_in_velocity=True,
    weight_decay=5e-4,
    schedule="step",
    freeze=("backbone/conv[12]_",),
    lr_scale=("bias$=2",),
)
"""VGG-16 from ImageNet's weights as the released code of Fast and Faster R-CNN trains it: conv1 and conv2 stay as they
are, biases learn at twice the rate."""

VOC_VIEW = DetectorView(600, 1000, flip=0.5)
"""The sizes of images on VOC (Girshick 2015, section 5.2)."""

COCO: Mapping[str, Any] = {
    "data": "coco:coco",
    "batch_size": 16,
    "eval_every": 20_000,
    "view": DetectorView(800, 1333, flip=0.5),
    "detecting": RegionConfig(),
}
"""COCO in batches of 8 GPUs with 2 images each (Lin et al. 2017; He et al. 2017)."""

PHOTOS_VIEW = DetectorView(240, 320, flip=0.5)
PHOTOS: Mapping[str, Any] = {
    "data": "voc:photos",
    "batch_size": 4,
    "steps": 2400,
    "eval_every": 800,
    "view": PHOTOS_VIEW,
}
"""A few hundred photographs of one's own, from random weights."""

SMOKE: Mapping[str, Any] = {
    "data": "scenes:count=8,size=64",
    "batch_size": 4,
    "steps": 2,
    "eval_every": 1,
    "view": DetectorView(64, 64),
    "detecting": RegionConfig(samples=16, positives=4, detections=8),
}
"""Two steps on images of 64 pixels, which show that everything runs."""
