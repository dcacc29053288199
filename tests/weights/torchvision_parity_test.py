"""Random torchvision networks, saved by torch and read by us, say the same of a real photo."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from jaxvision.models.alexnet import AlexNet
from jaxvision.models.fcn_resnet import FCNResNet
from jaxvision.models.googlenet import GoogLeNet
from jaxvision.models.resnet import ResNet18
from jaxvision.models.vgg import VGG11
from jaxvision.weights import load
from jaxvision.weights.imported import Imported, merge
from jaxvision.weights.preprocess import IMAGENET_MEAN, IMAGENET_STD

pytestmark = pytest.mark.peer
torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")

from tests.models.detection_parity_test import assert_same_detections, network, randomised  # noqa: E402
from tests.models.torchvision_parity_test import _randomised  # noqa: E402


def written(path: Path, torch_model: "torch.nn.Module", old: bool = False) -> Imported:
    torch.save(torch_model.state_dict(), path, _use_new_zipfile_serialization=not old)
    return load.load(f"torchvision:{path}")


def zeros(model: nn.Module, size: int, train: bool = False) -> dict[str, Any]:
    """Variables for `merge` to fill: what it forgets stays 0."""
    image = jax.ShapeDtypeStruct((1, size, size, 3), np.float32)
    rngs = {"params": jax.random.PRNGKey(0), "dropout": jax.random.PRNGKey(1)}
    shapes = jax.eval_shape(partial(model.init, train=train), rngs, image)
    return jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), shapes)


def photo(size: int) -> np.ndarray:
    return np.asarray(Image.fromarray(load_sample_images().images[0]).resize((size, size)), np.float32)[None]


def compare(model: nn.Module, torch_model: "torch.nn.Module", imported: Imported, size: int) -> None:
    """The same pixels, each network's way: torchvision's always sees ImageNet's mean and standard deviation."""
    image = photo(size)
    assert imported.mean is not None and imported.std is not None
    theirs = (image - np.array(IMAGENET_MEAN, np.float32)) / np.array(IMAGENET_STD, np.float32)
    ours = (image - np.array(imported.mean, np.float32)) / np.array(imported.std, np.float32)
    variables = merge(zeros(model, size), imported)
    with torch.no_grad(), jax.default_matmul_precision("highest"):
        expected = torch_model(torch.from_numpy(theirs.transpose(0, 3, 1, 2).copy()))
        found = np.asarray(jax.jit(partial(model.apply, train=False))(variables, ours)["logits"])
    expected = expected["out"].permute(0, 2, 3, 1) if isinstance(expected, dict) else expected
    scale = max(1.0, float(expected.abs().max()))
    np.testing.assert_allclose(found / scale, expected.numpy() / scale, atol=1e-4)


NETS: dict[str, tuple[Callable[[], nn.Module], dict[str, Any], int]] = {
    "alexnet": (partial(AlexNet, variant="torchvision"), {}, 224),
    "vgg11_bn": (partial(VGG11, batch_norm=True), {}, 224),
    "googlenet": (
        partial(GoogLeNet, variant="torchvision"),
        {"transform_input": True, "aux_logits": True, "init_weights": False},
        224,
    ),
    "resnet18": (ResNet18, {}, 97),
}


@pytest.mark.parametrize("name", list(NETS))
def test_a_classifiers_logits(tmp_path: Path, name: str) -> None:
    make, settings, size = NETS[name]
    torch.manual_seed(0)
    torch_model = _randomised(getattr(torchvision.models, name)(weights=None, **settings))
    compare(make(), torch_model, written(tmp_path / "w.pth", torch_model, old=name == "resnet18"), size)


def test_a_segmenters_logits(tmp_path: Path) -> None:
    torch.manual_seed(0)
    make = torchvision.models.segmentation.fcn_resnet50
    torch_model = _randomised(make(weights=None, weights_backbone=None, aux_loss=True))
    imported = written(tmp_path / "w.pth", torch_model)
    assert imported.class_names[1] == "aeroplane"
    compare(FCNResNet(21, 50), torch_model, imported, 65)


@pytest.mark.parametrize(("make", "masks"), [("fasterrcnn_resnet50_fpn", False), ("maskrcnn_resnet50_fpn", True)])
def test_a_detectors_boxes(tmp_path: Path, make: str, masks: bool) -> None:
    torch_model, model = randomised(make, 1e-5), network(masks, 1e-5)
    variables = merge(zeros(model, 64, train=True), written(tmp_path / "w.pth", torch_model))
    assert_same_detections(torch_model, model, variables, masks)
