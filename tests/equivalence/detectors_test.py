"""Five steps of Faster and Mask R-CNN lead where torchvision's lead, when both learn from all anchors and all RoIs."""

from typing import Any

import numpy as np
import pytest

from jaxvision.models.faster_rcnn import resnet_fpn
from jaxvision.models.norms import FrozenBatchNorm
from jaxvision.models.rpn import Anchors
from jaxvision.tasks.detection import detection
from jaxvision.tasks.proposals import ProposalConfig
from jaxvision.tasks.regions import RegionConfig
from jaxvision.train.optim import Optimizer
from tests.equivalence.layers import F, Tensor, descend, nchw, sgd, torch
from tests.equivalence.modules import Module, narrow
from tests.equivalence.steps import (
    GREY,
    SPREAD,
    STEPS,
    assert_losses,
    assert_variables,
    damped,
    drawn,
    five_steps,
    photos,
)

pytestmark = pytest.mark.peer
CLASSES, WIDTH, CANVAS = 4, 1 / 16, 96
SIZES = (96, 96), (90, 80)  # height, width of the two images on the canvas
OBJECTS, SIDE, PROPOSALS, EVERYTHING = 2, 29, 24, 10_000
LR = 0.002
FACTORS = {"bn2/scale": 0.2, "objectness/kernel": 0.1, "offsets/kernel": 0.1}
FACTORS |= {"cls_score/kernel": 0.1, "bbox_pred/kernel": 0.1, "mask_head/logits/kernel": 0.1}
TERMS = {"loss_objectness": "objectness", "loss_rpn_box_reg": "rpn_box", "loss_classifier": "classifier"}
TERMS |= {"loss_box_reg": "box", "loss_mask": "mask"}


def batch_of(seed: int) -> dict[str, np.ndarray]:
    """Objects of 29 px a side at whole pixels, so that masks of 29 cells are exact; their masks are discs."""
    generator = np.random.default_rng(seed)
    corners = generator.integers(0, (80 - SIDE, 90 - SIDE), (2, OBJECTS, 2))
    rows, columns = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    disc = 255 * (rows**2 + columns**2 < (SIDE // 2 - 1) ** 2).astype(np.uint8)
    return {
        "image": photos(2, CANVAS, CANVAS, seed),
        "size": np.array(SIZES, np.float32),
        "scale": np.ones(2, np.float32),
        "boxes": np.concatenate([corners, corners + SIDE], -1).astype(np.float32),
        "labels": generator.integers(1, CLASSES, (2, OBJECTS)).astype(np.int32),
        "valid": np.ones((2, OBJECTS), bool),
        "ignore": np.zeros((2, OBJECTS), bool),
        "masks": np.broadcast_to(disc, (2, OBJECTS, SIDE, SIDE)).copy(),
    }


def torchvisions(masks: bool) -> Any:
    detectors = pytest.importorskip("torchvision").models.detection
    frozen = pytest.importorskip("torchvision").ops.FrozenBatchNorm2d
    backbone = detectors.backbone_utils.resnet_fpn_backbone(
        backbone_name="resnet18", weights=None, norm_layer=frozen, trainable_layers=5
    )
    make = detectors.MaskRCNN if masks else detectors.FasterRCNN
    model = make(
        backbone,
        CLASSES,
        rpn_pre_nms_top_n_train=PROPOSALS,
        rpn_post_nms_top_n_train=PROPOSALS,
        rpn_batch_size_per_image=EVERYTHING,
        rpn_positive_fraction=1.0,
        box_batch_size_per_image=EVERYTHING,
        box_positive_fraction=1.0,
    )
    return narrow(model, WIDTH, ("cls_logits", "bbox_pred", "cls_score", "mask_fcn_logits"))


def targets_of(batch: dict[str, np.ndarray]) -> list[dict[str, Tensor]]:
    targets = []
    for boxes, labels, crops in zip(batch["boxes"], batch["labels"], batch["masks"], strict=True):
        masks = np.zeros((OBJECTS, CANVAS, CANVAS), np.uint8)
        for mask, (x, y, _, _), crop in zip(masks, boxes.astype(int), crops, strict=True):
            mask[y : y + SIDE, x : x + SIDE] = crop // 255
        tensors = torch.from_numpy(boxes.astype(np.float64)), torch.from_numpy(labels.astype(np.int64))
        targets.append({"boxes": tensors[0], "labels": tensors[1], "masks": torch.from_numpy(masks)})
    return targets


def masks_at_pixel_centres(masks: Tensor, rois: Tensor, matches: Tensor, size: int) -> Tensor:
    """Return mask targets sampled where pixels are.

    torchvision's own lie half a pixel off, and are means over the cells; He et al. 2017 do not say. Everything else of
    its mask loss is compared as it is.
    """
    place = (torch.arange(size, dtype=torch.float64) + 0.5) / size
    x = rois[:, 0, None] + (rois[:, 2] - rois[:, 0])[:, None] * place
    y = rois[:, 1, None] + (rois[:, 3] - rois[:, 1])[:, None] * place
    grid = torch.stack([x[:, None].expand(-1, size, -1), y[:, :, None].expand(-1, -1, size)], -1) * 2 / CANVAS - 1
    sampled = F.grid_sample(masks[matches][:, None].double(), grid, align_corners=False)
    return (sampled[:, 0] >= 0.5).double()


def losses_of(model: Any, batch: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """Run torchvision's parts without its resizing of images, which are in their final size."""
    images, targets = nchw(batch["image"], GREY, SPREAD), targets_of(batch)
    maps = model.backbone(images)
    listed = pytest.importorskip("torchvision").models.detection.image_list.ImageList(images, list(SIZES))
    proposals, first = model.rpn(listed, maps, targets)
    _, second = model.roi_heads(maps, proposals, list(SIZES), targets)
    return {**first, **second}


@pytest.mark.parametrize("masks", [False, True])
def test_torchvisions_detector(masks: bool, monkeypatch: pytest.MonkeyPatch):
    heads = pytest.importorskip("torchvision").models.detection.roi_heads
    monkeypatch.setattr(heads, "project_masks_on_boxes", masks_at_pixel_centres)
    network = resnet_fpn(
        CLASSES,
        depth=18,
        width=WIDTH,
        masks=masks,
        norm=FrozenBatchNorm,
        anchors=Anchors(rounded=True),
        aligned=False,
    )
    anchors = sum((CANVAS // stride) ** 2 for stride in (4, 8, 16, 32)) * 3 + 4 * 3
    taken = PROPOSALS + OBJECTS
    task = detection(
        network,
        Optimizer(lr=LR, weight_decay=1e-4).make(STEPS),
        mean=GREY,
        std=SPREAD,
        proposing=ProposalConfig(
            samples=anchors, positives=anchors, train_before_nms=PROPOSALS, train_after_nms=PROPOSALS
        ),
        detecting=RegionConfig(samples=taken, positives=taken),
    )
    batches = [batch_of(seed) for seed in range(STEPS)]
    run = five_steps(task, damped(drawn(task, batches[0]), FACTORS), batches)
    model = torchvisions(masks)
    theirs = Module(model, run.states[0])
    learned = dict(model.named_parameters())
    steps, losses = sgd(learned, LR, decay=1e-4, decays=lambda path, leaf: leaf.dim() > 1), []
    for number, batch in enumerate(batches):
        found = losses_of(model, batch)
        for name, value in found.items():
            ours = run.metrics[number][f"loss_{TERMS[name]}"]
            np.testing.assert_allclose(ours, float(value.detach()), rtol=1e-4, atol=1e-4, err_msg=f"{number} {name}")
        losses.append(descend(steps, sum(found.values())))
    assert_losses(run.losses(), losses)
    assert_variables(run, theirs.arrays())
