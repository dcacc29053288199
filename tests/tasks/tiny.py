"""A two-stage detector that compiles in seconds: one small map of stride 4, all other parts the real ones."""

from functools import cache

import flax.linen as nn
import numpy as np

from jaxvision.models.box_head import TwoFCHead
from jaxvision.models.faster_rcnn import FasterRCNN, RoIs
from jaxvision.models.mask_head import MaskHead
from jaxvision.models.rpn import RPN, Anchors
from jaxvision.tasks.detection import detection
from jaxvision.tasks.proposals import ProposalConfig
from jaxvision.tasks.regions import RegionConfig
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Task

SIZE, CLASSES = 32, 4
GREY = {"mean": (127.5, 127.5, 127.5), "std": (127.5, 127.5, 127.5)}
PROPOSING = ProposalConfig(
    samples=32, positives=16, train_before_nms=64, train_after_nms=24, test_before_nms=64, test_after_nms=24
)
DETECTING = RegionConfig(samples=16, positives=6, detections=8)


class Backbone(nn.Module):
    """Two strided convolutions: map "c" of stride 4."""

    @nn.compact
    def __call__(self, x, *, train: bool):
        for i in (1, 2):
            x = nn.relu(nn.Conv(24, (3, 3), (2, 2), padding=((1, 1), (1, 1)), name=f"conv{i}")(x))
        return {"c": nn.relu(nn.Conv(24, (3, 3), padding=((1, 1), (1, 1)), name="conv3")(x))}


def network(masks: bool = True) -> FasterRCNN:
    return FasterRCNN(
        Backbone(),
        None,
        RPN(24, Anchors(((8.0, 14.0),), (1.0,))),
        TwoFCHead(CLASSES, 48),
        MaskHead(CLASSES, 1, 16) if masks else None,
        RoIs({"c": 4}, size=5, mask_size=7),
        map_names=("c",),
    )


@cache
def task_of(steps: int = 200, masks: bool = True, **fields) -> Task:
    tx = Optimizer(lr=0.05, clip_norm=5.0, schedule="cosine", warmup_steps=5).make(steps)
    return detection(network(masks), tx, **GREY, **{"proposing": PROPOSING, "detecting": DETECTING, **fields})


def batch_of(rows: int = 4, objects: int = 3) -> dict[str, np.ndarray]:
    """Bright squares and bars; the class is the channel. Row r has 1 + r % 2 objects, in the first slots."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 60, (rows, SIZE, SIZE, 3), np.uint8)
    boxes, labels = np.zeros((rows, objects, 4), np.float32), np.zeros((rows, objects), np.int32)
    valid, masks = np.zeros((rows, objects), bool), np.zeros((rows, objects, 16, 16), np.uint8)
    for row in range(rows):
        for slot in range(1 + row % 2):
            height, width = rng.integers(8, 14, 2)
            y, x = rng.integers(1, SIZE - height - 1), 1 + 15 * slot + rng.integers(0, 16 - width)
            boxes[row, slot], labels[row, slot] = (x, y, x + width, y + height), 1 + (row + slot) % (CLASSES - 1)
            image[row, y : y + height, x : x + width, labels[row, slot] - 1] = 250
            valid[row, slot], masks[row, slot] = True, 255
    return {
        "image": image,
        "size": np.full((rows, 2), SIZE, np.float32),
        "scale": np.ones(rows, np.float32),
        "boxes": boxes,
        "labels": labels,
        "valid": valid,
        "ignore": np.zeros((rows, objects), bool),
        "masks": masks,
        "image_id": np.arange(rows, dtype=np.int32),
        "_mask": np.ones(rows, bool),
    }


def wrong_boxes(batch: dict) -> None:
    """Inverted, without area, not a number, far outside, and the first one as it was."""
    batch["boxes"][:, 1] = [20, 20, 10, 10]
    batch["boxes"][:2, 2], batch["boxes"][2:, 2] = [5, 5, 5, 9], [np.nan, 0, np.inf, 4]
    batch["valid"][:] = True


def only_crowds(batch: dict) -> None:
    batch["ignore"][:] = True


def outside(batch: dict) -> None:
    batch["boxes"][:, 0] = [500, 500, 540, 520]


ODD_OBJECTS = (wrong_boxes, only_crowds, outside)
"""What spoils a batch's objects in place."""
