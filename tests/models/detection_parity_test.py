"""torchvision's Faster and Mask R-CNN with random weights, renamed layer for layer, find the same in real photos."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from jaxvision.models.faster_rcnn import FasterRCNN, resnet_fpn
from jaxvision.models.norms import FrozenBatchNorm
from jaxvision.models.rpn import Anchors
from jaxvision.tasks.detection import detection
from jaxvision.train.optim import Optimizer
from jaxvision.train.steps import init_state

pytestmark = pytest.mark.peer
torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")

CLASSES = 7
CANVAS = 224, 320
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
NAMES = {
    r"backbone\.body\.(layer\d)\.(\d+)": r"backbone.\1_\2",
    r"backbone\.body\.": "backbone.",
    r"downsample\.0": "shortcut.conv",
    r"downsample\.1": "shortcut.bn",
    r"backbone\.fpn\.inner_blocks\.(\d)\.0": lambda m: f"neck.lateral{int(m[1]) + 2}",
    r"backbone\.fpn\.layer_blocks\.(\d)\.0": lambda m: f"neck.output{int(m[1]) + 2}",
    r"rpn\.head\.conv\.0\.0": "rpn.conv",
    r"rpn\.head\.cls_logits": "rpn.objectness",
    r"rpn\.head\.bbox_pred": "rpn.offsets",
    r"roi_heads\.box_head": "box_head",
    r"roi_heads\.box_predictor": "box_head.predictor",
    r"roi_heads\.mask_head\.(\d)\.0": lambda m: f"mask_head.conv{int(m[1]) + 1}",
    r"roi_heads\.mask_predictor\.conv5_mask": "mask_head.deconv",
    r"roi_heads\.mask_predictor\.mask_fcn_logits": "mask_head.logits",
}
FIELDS = {"running_mean": "mean", "running_var": "var", "bias": "bias"}


def renamed(key: str) -> tuple[list[str], str]:
    """The path of a layer of ours, and torch's name of the field."""
    name, field = key.rsplit(".", 1)
    for pattern, replacement in NAMES.items():
        name = re.sub(pattern, replacement, name)
    return name.split("."), field


def converted(path: list[str], field: str, value: np.ndarray) -> tuple[str, str, np.ndarray]:
    """Collection, field and value of ours."""
    if field in ("running_mean", "running_var"):
        return "batch_stats", FIELDS[field], value
    if path[-1] == "fc6" and value.ndim == 2:
        return "params", "kernel", value.reshape(len(value), -1, 7, 7).transpose(2, 3, 1, 0).reshape(-1, len(value))
    if value.ndim == 4:
        # torch's transposed convolution keeps (in, out, h, w); its 2×2 kernel of stride 2 is not mirrored in ours
        axes = (2, 3, 1, 0)
        return "params", "kernel", value.transpose(axes)
    if value.ndim == 2:
        return "params", "kernel", value.T
    return "params", "bias" if field == "bias" else "scale", value


def variables_of(model: FasterRCNN, torch_model: "torch.nn.Module") -> dict:
    found: dict = {}
    for key, tensor in torch_model.state_dict().items():
        path, field = renamed(key)
        if field == "num_batches_tracked":
            continue
        collection, leaf, value = converted(path, field, tensor.numpy())
        node = found.setdefault(collection, {})
        for part in path:
            node = node.setdefault(part, {})
        node[leaf] = value
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), np.float32)
    shapes = jax.eval_shape(partial(model.init, train=True), jax.random.PRNGKey(0), image)
    assert jax.tree.map(np.shape, found) == jax.tree.map(lambda s: s.shape, shapes)
    return found


def randomised(make: str, epsilon: float) -> "torch.nn.Module":
    """Statistics that are not 0 and 1, and heads that are sure of themselves here and there."""
    torch.manual_seed(0)
    model = getattr(torchvision.models.detection, make)(weights=None, weights_backbone=None, num_classes=CLASSES)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = epsilon
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.8, 1.2)
            torch.nn.init.uniform_(module.weight, 0.4, 0.8)
            torch.nn.init.normal_(module.bias, 0, 0.1)
    with torch.no_grad():
        model.rpn.head.cls_logits.weight.mul_(3)
        model.rpn.head.bbox_pred.weight.mul_(3)
        model.roi_heads.box_predictor.cls_score.weight.mul_(20)
        model.roi_heads.box_predictor.bbox_pred.weight.mul_(5)
    return model.eval()


def photos() -> tuple[np.ndarray, np.ndarray]:
    """Two photos at the top-left of a canvas, and their sizes (height, width)."""
    images, sizes = np.zeros((2, *CANVAS, 3), np.uint8), [(213, 320), (224, 300)]
    for canvas, photo, (height, width) in zip(images, load_sample_images().images, sizes, strict=True):
        canvas[:height, :width] = np.asarray(Image.fromarray(photo).resize((width, height)))
    return images, np.array(sizes, np.float32)


def network(masks: bool, epsilon: float) -> FasterRCNN:
    """With torchvision's details."""
    norm = partial(FrozenBatchNorm, epsilon=epsilon)
    return resnet_fpn(CLASSES, masks=masks, norm=norm, anchors=Anchors(rounded=True), aligned=False)


@pytest.mark.parametrize(
    ("make", "masks", "epsilon"),
    [("fasterrcnn_resnet50_fpn", False, 0.0), ("maskrcnn_resnet50_fpn", True, 1e-5)],
)
def test_detections_equal_torchvisions(make: str, masks: bool, epsilon: float) -> None:
    torch_model, model = randomised(make, epsilon), network(masks, epsilon)
    assert_same_detections(torch_model, model, variables_of(model, torch_model), masks)


def assert_same_detections(torch_model: "torch.nn.Module", model: FasterRCNN, variables: dict, masks: bool) -> None:
    images, sizes = photos()
    x = (images - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    x = torch.from_numpy(x.astype(np.float32).transpose(0, 3, 1, 2))
    extents = [(int(h), int(w)) for h, w in sizes]
    with torch.no_grad():
        maps = torch_model.backbone(x)
        proposals, _ = torch_model.rpn(torchvision.models.detection.image_list.ImageList(x, extents), maps)
        expected, _ = torch_model.roi_heads(maps, proposals, extents)
    task = detection(model, Optimizer().make(1), mean=MEAN, std=STD)
    state = init_state(jax.random.PRNGKey(0), variables, ())
    batch = {"image": jnp.asarray(images), "size": jnp.asarray(sizes), "scale": jnp.ones(2)}
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
