"""torchvision's Faster and Mask R-CNN with random weights find the same in real photos."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.faster_rcnn import resnet_fpn
from jaxvision.models.norms import FrozenBatchNorm
from jaxvision.models.rpn import Anchors
from jaxvision.tasks.detection import detection
from jaxvision.train.optim import Optimizer
from jaxvision.train.steps import init_state
from jaxvision.weights import torchvision
from jaxvision.weights.rename import flat
from tests.weights.peers import MEAN, STD, photos, randomised, through_a_file, to_torch, variables_of
from tests.weights.torch_bytes import saved

CLASSES = 7
SIZES = (213, 320), (224, 300)  # height, width of two photos on their canvas


def sure(torch_model: Any) -> Any:
    """Heads that are sure of themselves here and there."""
    import torch

    with torch.no_grad():
        torch_model.rpn.head.cls_logits.weight.mul_(3)
        torch_model.rpn.head.bbox_pred.weight.mul_(3)
        torch_model.roi_heads.box_predictor.cls_score.weight.mul_(20)
        torch_model.roi_heads.box_predictor.bbox_pred.weight.mul_(5)
    return torch_model


def canvases() -> np.ndarray:
    """Each photo at the top-left of its canvas."""
    images = np.zeros((2, 224, 320, 3), np.uint8)
    for canvas, (height, width), number in zip(images, SIZES, (0, 1), strict=True):
        canvas[:height, :width] = photos(height, width)[number]
    return images


@pytest.mark.peer
@pytest.mark.parametrize(
    ("make", "masks", "epsilon"),
    [("fasterrcnn_resnet50_fpn", False, 0.0), ("maskrcnn_resnet50_fpn", True, 1e-5)],
)
def test_detections_equal_torchvisions(tmp_path: Path, make: str, masks: bool, epsilon: float):
    torch, peer = pytest.importorskip("torch"), pytest.importorskip("torchvision")
    torch.manual_seed(0)
    torch_model = getattr(peer.models.detection, make)(weights=None, weights_backbone=None, num_classes=CLASSES)
    torch_model = sure(randomised(torch_model, 0.2, 0.6, epsilon))
    norm = partial(FrozenBatchNorm, epsilon=epsilon)
    model = resnet_fpn(CLASSES, masks=masks, norm=norm, anchors=Anchors(rounded=True), aligned=False)
    images = canvases()
    x = to_torch(((images - MEAN) / STD).astype(np.float32))
    with torch.no_grad():
        maps = torch_model.backbone(x)
        proposals, _ = torch_model.rpn(peer.models.detection.image_list.ImageList(x, list(SIZES)), maps)
        expected, _ = torch_model.roi_heads(maps, proposals, list(SIZES))
    mean, std = (tuple(map(float, values)) for values in (MEAN, STD))
    task = detection(model, Optimizer().make(1), mean=mean, std=std)
    variables = variables_of(model, through_a_file(torch_model, tmp_path))
    state = init_state(jax.random.PRNGKey(0), variables, ())
    batch = {"image": jnp.asarray(images), "size": jnp.asarray(SIZES, jnp.float32), "scale": jnp.ones(2)}
    with jax.default_matmul_precision("highest"):
        found = jax.device_get(jax.jit(task.predict)(state, batch))
    for row, theirs in enumerate(expected):
        theirs = {name: value.numpy() for name, value in theirs.items()}
        ours = {name: found[name][row][found["valid"][row]] for name in theirs if name != "masks"}
        # Of 1000 proposals one may have lost its place, or suppressed another, by the rounding of its score.
        given = found["proposals"][row][found["proposal_valid"][row]]
        distance = np.abs(given[None] - proposals[row].numpy()[:, None]).max(-1).min(1)
        assert len(given) == len(distance) == 1000 and (distance < 1e-3).sum() >= 998
        assert len(theirs["boxes"]) > 10
        order = same_boxes(ours["boxes"], theirs["boxes"])
        np.testing.assert_array_equal(ours["labels"][order], theirs["labels"])
        np.testing.assert_allclose(ours["scores"][order], theirs["scores"], atol=1e-3)
        if masks:
            np.testing.assert_allclose(found["masks"][row][order], theirs["masks"][:, 0], atol=1e-3)


def same_boxes(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Asserts that there are the same boxes, and returns the order of ours that is theirs.

    Scores that are equal but for rounding may change places.
    """
    assert len(ours) == len(theirs)
    distance = np.abs(ours[None] - theirs[:, None]).max(-1)
    order = distance.argmin(1)
    assert distance.min(1).max() < 1e-3
    assert len(set(order)) == len(order) and np.abs(order - np.arange(len(order))).max() < 5
    return order


# What files of before torchvision 0.11, its released weights among them, call the same layers.
OLD_NAMES = {
    r"((?:inner|layer)_blocks\.\d)\.0\.": r"\1.",
    r"rpn\.head\.conv\.0\.0\.": "rpn.head.conv.",
    r"mask_head\.(\d)\.0\.": lambda match: f"mask_head.mask_fcn{int(match[1]) + 1}.",
}


@pytest.mark.long
@pytest.mark.parametrize("masks", [False, True])
def test_our_network_there_and_back_by_new_names_and_old(masks: bool, filled: Callable[..., dict], tmp_path: Path):
    variables = filled(resnet_fpn(91, width=0.0625, masks=masks), jnp.zeros((1, 64, 64, 3)))
    name, tensors = torchvision.write(variables)
    old = dict(tensors)
    for pattern, names in OLD_NAMES.items():
        old = {re.sub(pattern, names, key): value for key, value in old.items()}
    assert len(old.keys() - tensors.keys()) == 18 + 8 * masks
    for state_dict in (tensors, old):
        imported = torchvision.read(str(saved(tmp_path / "w.pth", state_dict)))
        assert imported.network == name == ("mask_rcnn" if masks else "faster_rcnn")
        assert imported.class_names[1] == "person" and len(imported.class_names) == 91
        before, back = flat(variables), flat(imported.variables)
        assert back.keys() == before.keys()
        assert all(np.array_equal(value.reshape(before[path].shape), before[path]) for path, value in back.items())
