"""U-Net, SegNet and FCN-8s give the logits of the same layers written with torch's functions."""

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.fcn import FCN
from jaxvision.models.segnet import SegNet
from jaxvision.models.unet import UNet
from jaxvision.models.vgg import NETS
from jaxvision.ops.interpolation import bilinear_kernel

pytestmark = pytest.mark.peer
torch = pytest.importorskip("torch")
F = torch.nn.functional

CONVOLUTIONS = NETS["D"].convolutions


class Layers:
    """Our variables as torch's operations on NCHW, by the names of our layers."""

    def __init__(self, params: dict, batch_stats: dict | None = None) -> None:
        self.params, self.batch_stats = params, batch_stats or {}

    def part(self, name: str) -> "Layers":
        return Layers(self.params[name])

    def conv(self, x: "torch.Tensor", name: str, padding: int = 0) -> "torch.Tensor":
        kernel, bias = tensor(self.params[name]["kernel"].transpose(3, 2, 0, 1)), tensor(self.params[name]["bias"])
        return F.conv2d(x, kernel, bias, padding=padding)

    def conv_relu(self, x: "torch.Tensor", name: str, padding: int = 0) -> "torch.Tensor":
        return F.relu(self.conv(x, name, padding))

    def up(self, x: "torch.Tensor", name: str) -> "torch.Tensor":
        layer = self.params[name]
        bias = tensor(layer["bias"]) if "bias" in layer else None
        return F.conv_transpose2d(x, tensor(layer["kernel"].transpose(2, 3, 0, 1)), bias, stride=2)

    def conv_norm_relu(self, x: "torch.Tensor", name: str) -> "torch.Tensor":
        norm, seen = self.params[f"bn{name}"], self.batch_stats[f"bn{name}"]
        fields = seen["mean"], seen["var"], norm["scale"], norm["bias"]
        return F.relu(F.batch_norm(self.conv(x, f"conv{name}", 1), *map(tensor, fields)))


def tensor(array: np.ndarray) -> "torch.Tensor":
    return torch.from_numpy(np.array(array, order="C"))  # a copy, which torch may write to


def images(height: int, width: int, channels: int = 3) -> jax.Array:
    drawn = np.random.default_rng(3).normal(size=(2, height, width, channels))
    return jnp.asarray(drawn, jnp.float32)


def nchw(x: jax.Array) -> "torch.Tensor":
    return tensor(np.asarray(x).transpose(0, 3, 1, 2))


def assert_logits(model: nn.Module, variables: dict, x: jax.Array, wanted: "torch.Tensor") -> None:
    logits = np.asarray(jax.jit(partial(model.apply, train=False))(variables, x)["logits"])
    theirs = wanted.numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(logits, theirs, atol=1e-4 * max(1.0, float(np.abs(theirs).max())))


def test_unet_without_padding(filled: Callable[..., dict]) -> None:
    x, model = images(60, 44, channels=1), UNet(2, valid=True, levels=3, width=1 / 8)
    variables = filled(model, x)
    layers = Layers(variables["params"])

    def double(y: "torch.Tensor", name: str) -> "torch.Tensor":
        return layers.conv_relu(layers.conv_relu(y, f"{name}_conv1"), f"{name}_conv2")

    skips = {1: double(nchw(x), "down1")}
    skips[2] = double(F.max_pool2d(skips[1], 2), "down2")
    y = double(F.max_pool2d(skips[2], 2), "down3")
    for level in (2, 1):
        y = layers.up(y, f"upconv{level}")
        height, width = y.shape[2:]
        top, left = (skips[level].shape[2] - height) // 2, (skips[level].shape[3] - width) // 2
        skip = skips[level][:, :, top : top + height, left : left + width]
        y = double(torch.cat([skip, y], 1), f"up{level}")
    assert_logits(model, variables, x, layers.conv(y, "score"))


def test_segnet(filled: Callable[..., dict]) -> None:
    x, model = images(64, 96), SegNet(3, width=1 / 16)
    variables = filled(model, x)
    layers, y, places = Layers(**variables), nchw(x), {}
    for block, count in enumerate(CONVOLUTIONS, 1):
        for i in range(1, count + 1):
            y = layers.conv_norm_relu(y, f"{block}_{i}")
        y, places[block] = F.max_pool2d(y, 2, return_indices=True)
    for block in reversed(range(1, 6)):
        y = F.max_unpool2d(y, places[block], 2)
        for i in reversed(range(2 if block == 1 else 1, CONVOLUTIONS[block - 1] + 1)):
            y = layers.conv_norm_relu(y, f"{block}_{i}_decoder")
    assert_logits(model, variables, x, layers.conv(y, "score", 1))


@pytest.mark.parametrize("size", [(58, 90), (50, 75)])
def test_fcn8s_with_the_papers_padding_and_offsets(size: tuple[int, int], filled: Callable[..., dict]) -> None:
    """Sides of 58 and 90 fill their cells of 32 as Caffe cuts them; the others are filled up with zeros, as stated."""
    x, model = images(*size), FCN(4, stride=8, width=1 / 16)
    variables = filled(model, x)
    layers = Layers(variables["params"])
    bottom, right = (99 + -(198 + n) % 32 for n in size)
    y, pools = F.pad(nchw(x), (99, right, 99, bottom)), {}
    for block, count in enumerate(CONVOLUTIONS, 1):
        for i in range(1, count + 1):
            y = layers.part("trunk").conv_relu(y, f"conv{block}_{i}", 1)
        y = pools[block] = F.max_pool2d(y, 2)
    for name in ("fc6", "fc7"):
        y = layers.part("head").conv_relu(y, name)
    y = layers.conv(y, "score_fc7")
    for block, offset in ((4, 5), (3, 9)):
        y = layers.up(y, f"upscore_pool{block}")
        skip = layers.conv(pools[block], f"score_pool{block}")
        y = y + skip[:, :, offset : offset + y.shape[2], offset : offset + y.shape[3]]
    kernel = tensor(np.asarray(bilinear_kernel(8)))[None, None].repeat(4, 1, 1, 1)
    y = F.conv_transpose2d(y, kernel, stride=8, groups=4)
    assert_logits(model, variables, x, y[:, :, 31 : 31 + size[0], 31 : 31 + size[1]])
