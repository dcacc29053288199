"""torch's side of the tests of tables: random networks whose mistakes would show, and the photo they look at."""

from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from jaxvision.weights import torchvision
from jaxvision.weights.imported import Imported, merge

MEAN, STD = np.array([123.675, 116.28, 103.53], np.float32), np.array([58.395, 57.12, 57.375], np.float32)


def randomised(torch_model: Any, spread: float = 0.5, scale: float = 1.0, epsilon: float | None = None) -> Any:
    """Variances within `spread` of 1, scales of `scale`, means and biases that are not 0."""
    import torch

    for module in torch_model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = module.eps if epsilon is None else epsilon
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(1 - spread, 1 + spread)
            torch.nn.init.uniform_(module.weight, scale - spread, scale + spread)
            torch.nn.init.normal_(module.bias, 0, 0.1)
    return torch_model.eval()


def through_a_file(torch_model: Any, directory: Path, **settings: Any) -> Imported:
    """The network saved by torch and read by us."""
    import torch

    torch.save(torch_model.state_dict(), directory / "weights.pth", **settings)
    return torchvision.read(str(directory / "weights.pth"))


def variables_of(model: nn.Module, imported: Imported, size: int = 64) -> dict[str, Any]:
    """All variables of our network, of which none is left as it was."""
    image = jax.ShapeDtypeStruct((1, size, size, 3), np.float32)
    shapes = jax.eval_shape(lambda key, x: model.init(key, x, train=False), jax.random.PRNGKey(0), image)
    merged = merge(shapes, imported)
    assert not [leaf for leaf in jax.tree.leaves(merged) if isinstance(leaf, jax.ShapeDtypeStruct)]
    return merged


def photos(height: int, width: int) -> np.ndarray:
    """Two photos, uint8 [2, height, width, 3]."""
    images = [Image.fromarray(photo).resize((width, height)) for photo in load_sample_images().images]
    return np.stack([np.asarray(image) for image in images])


def to_torch(images: np.ndarray) -> Any:
    """[B, H, W, 3] as torch has it."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def assert_close(ours: np.ndarray, theirs: np.ndarray) -> None:
    """Random networks with batch norm give logits far from 1: the tolerance of 1e-4 is one of their largest."""
    scale = max(1.0, float(np.abs(theirs).max()))
    np.testing.assert_allclose(np.asarray(ours) / scale, theirs / scale, atol=1e-4)
