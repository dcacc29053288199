"""Both sides of Faster R-CNN on ResNet-50 with a pyramid, all layers trained, batch norm frozen, for `turns.compare`.

800×1088 pixels, 8 objects an image, 91 classes, random weights, of which two make both sides do a trained network's
work: each residual block starts as its shortcut, which keeps the features, and so the proposals, in an ordinary range;
and every RoI is a candidate of class 1, of which suppression leaves the full number of detections.

jax and torch are imported by the side that needs them only.
"""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import random_boxes
import turns

CLASSES = 91
CANVAS = 800, 1088
OBJECTS = 8
PROPOSALS, DETECTIONS = 1000, 100  # at test; both libraries' own numbers, of training too (2000 proposals, 512 RoIs)
_LR = 1e-6  # random weights stay as they are
_SURE = 8.0  # logit of class 1
_LAYOUTS = ("contiguous_format", "channels_last")


class Images(NamedTuple):
    """What both sides see."""

    pixels: np.ndarray  # uint8 [B, H, W, 3]
    boxes: np.ndarray  # [B, G, 4]
    labels: np.ndarray  # [B, G]


def measure(what: str, batch_size: int, threads: int, rounds: int) -> dict[str, turns.Measured]:
    """`what` is "inference" or "training"; the sides are "jaxvision" and torchvision's two layouts."""
    sides: dict[str, turns.Side] = {"jaxvision": partial(ours, what, batch_size)}
    sides |= {layout: partial(theirs, what, batch_size, threads, layout) for layout in _LAYOUTS}
    return turns.compare(sides, rounds, "Faster R-CNN R50-FPN")


def images(batch_size: int) -> Images:
    """The same for the same size."""
    rng = np.random.default_rng(0)
    boxes = [random_boxes.log_uniform(rng, OBJECTS, *CANVAS) for _ in range(batch_size)]
    pixels = rng.integers(0, 256, (batch_size, *CANVAS, 3), np.uint8)
    return Images(pixels, np.stack(boxes), rng.integers(1, CLASSES, (batch_size, OBJECTS)))


def ours(what: str, batch_size: int) -> turns.Calls:
    """The step and the prediction that `launch.py` runs."""
    from jaxvision.run import xla

    xla.configure()
    import jax

    from jaxvision.channels import IMAGENET_MEAN, IMAGENET_STD
    from jaxvision.models.faster_rcnn import resnet_fpn
    from jaxvision.models.norms import FrozenBatchNorm
    from jaxvision.models.rpn import Anchors
    from jaxvision.tasks.detection import detection
    from jaxvision.train.optim import Optimizer

    model = resnet_fpn(CLASSES, norm=FrozenBatchNorm, anchors=Anchors(rounded=True), aligned=False)
    task = detection(model, Optimizer(lr=_LR).make(1), mean=IMAGENET_MEAN, std=IMAGENET_STD)

    def begin(state: Any) -> Any:
        return state.replace(params=jax.tree_util.tree_map_with_path(_started, state.params))

    run = turns.running(task, _batch(images(batch_size)), begin)
    if what == "training":
        return {what: run.train}
    found = run.predict()
    _require(found["proposal_valid"].sum(1), PROPOSALS, "jaxvision proposals")
    _require(found["valid"].sum(1), DETECTIONS, "jaxvision detections")
    return {what: run.predict}


def theirs(what: str, batch_size: int, threads: int, layout: str) -> turns.Calls:
    """torchvision's module with torch's SGD."""
    import torch

    torch.set_num_threads(threads)
    model = _torch_model().to(memory_format=getattr(torch, layout))
    seen = images(batch_size)
    pixels = [torch.from_numpy(one).permute(2, 0, 1).float() / 255 for one in seen.pixels]
    if what == "training":
        return {what: _torch_step(model.train(), pixels, seen)}
    model.eval()

    @torch.inference_mode()
    def infer() -> Any:
        return model(pixels)

    counts: list[int] = []
    hook = model.roi_heads.register_forward_pre_hook(lambda _, given: counts.extend(map(len, given[1])))
    found = infer()
    hook.remove()
    _require(counts, PROPOSALS, "torchvision proposals")
    _require([len(one["boxes"]) for one in found], DETECTIONS, "torchvision detections")
    return {what: infer}


def _batch(seen: Images) -> dict[str, np.ndarray]:
    count = len(seen.pixels)
    return {
        "image": seen.pixels,
        "size": np.array([CANVAS] * count, np.float32),
        "scale": np.ones(count, np.float32),
        "boxes": seen.boxes,
        "labels": seen.labels.astype(np.int32),
        "valid": np.ones((count, OBJECTS), bool),
        "ignore": np.zeros((count, OBJECTS), bool),
    }


def _started(path: Any, leaf: Any) -> Any:
    """The parameters as the module's docstring says: a residual branch's last scale is 0, class 1 is likely."""
    names = [str(part.key) for part in path]
    if names[-2:] == ["bn3", "scale"]:
        return 0 * leaf
    return leaf.at[1].set(_SURE) if names[-2:] == ["cls_score", "bias"] else leaf


def _torch_model() -> Any:
    """`fasterrcnn_resnet50_fpn`, which on its own would take trainable batch norm where it loads no weights."""
    import torch
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
    from torchvision.ops import FrozenBatchNorm2d

    torch.manual_seed(0)
    backbone = resnet_fpn_backbone(
        backbone_name="resnet50", weights=None, norm_layer=FrozenBatchNorm2d, trainable_layers=5
    )
    model = FasterRCNN(backbone, CLASSES, _skip_resize=True)  # ours gets images in their final size too
    for name, value in backbone.named_buffers():
        if name.endswith("bn3.weight"):
            value.zero_()
    with torch.no_grad():
        model.roi_heads.box_predictor.cls_score.bias[1] = _SURE
    return model


def _torch_step(model: Any, pixels: list[Any], seen: Images) -> Callable[[], None]:
    import torch

    pairs = zip(seen.boxes, seen.labels, strict=True)
    targets = [{"boxes": torch.from_numpy(b), "labels": torch.from_numpy(n)} for b, n in pairs]
    sgd = torch.optim.SGD(model.parameters(), lr=_LR, momentum=0.9)

    def train() -> None:
        sgd.zero_grad()
        sum(model(pixels, targets).values()).backward()
        sgd.step()

    return train


def _require(counts: Any, expected: int, what: str) -> None:
    if set(map(int, counts)) != {expected}:
        sys.exit(f"{what}: {list(counts)} instead of {expected} an image, so the sides would not do the same work")
