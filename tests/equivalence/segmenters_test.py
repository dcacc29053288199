"""Five steps of FCN and U-Net lead where torch's lead: losses, weights, running statistics."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jaxvision.models.fcn import FCN
from jaxvision.models.fcn_resnet import FCNResNet
from jaxvision.models.unet import UNet
from jaxvision.models.vgg import NETS
from jaxvision.tasks.segmentation import segmentation
from jaxvision.train.optim import Optimizer
from tests.equivalence.layers import F, Layers, Tensor, descend, nchw, sgd, torch
from tests.equivalence.modules import Module, narrow
from tests.equivalence.steps import (
    GREY,
    SPREAD,
    STEPS,
    Run,
    assert_losses,
    assert_variables,
    damped,
    doubled,
    drawn,
    five_steps,
    photos,
)

pytestmark = pytest.mark.peer
CLASSES = 4


def batches_of(rows: int, height: int, width: int, weighted: bool = False) -> list[dict[str, np.ndarray]]:
    """Images with classes that follow their brightness, a border that does not count, and perhaps weights of pixels."""
    batches = []
    for seed in range(STEPS):
        images = photos(rows, height, width, seed)
        maps = np.clip(images.mean(-1) // 52 - 1, 0, CLASSES - 1).astype(np.uint8)
        maps[:, :2], maps[:, :, -3:] = 255, 255
        batches.append({"image": images, "label_map": maps})
        if weighted:
            batches[-1]["weight_map"] = np.random.default_rng(seed).uniform(0.5, 6, maps.shape).astype(np.float32)
    return batches


def trained(model: nn.Module, optimizer: Optimizer, batches: list[dict[str, np.ndarray]], **fields: Any) -> Run:
    task = segmentation(model, optimizer.make(STEPS), mean=GREY, std=SPREAD, **fields)
    return five_steps(task, drawn(task, batches[0]), batches)


def labels_of(batch: dict[str, np.ndarray]) -> Tensor:
    return torch.from_numpy(batch["label_map"].astype(np.int64))


def test_torchvisions_fcn_with_its_side_classifier(monkeypatch: pytest.MonkeyPatch):
    """torchvision's recipe, with the ten times faster side classifier as a pattern, in float64 on both sides.

    In float32 the fifth step's weights are 1.2e-4 from torch's float64 ones. That is rounding alone, which 50 layers,
    normalised by few values, magnify: in float64 they are 1.5e-15 apart.
    """
    segmenters = pytest.importorskip("torchvision").models.segmentation
    batches = batches_of(2, 64, 80)
    optimizer = Optimizer(lr=0.001, weight_decay=1e-4, decay_norms=True, lr_scale=("^aux_head/=10",))
    monkeypatch.setattr(jnp, "float32", jnp.float64)  # which losses and interpolation name
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # annotations of interpolation say float32
    with jax.enable_x64(True):
        model = FCNResNet(CLASSES, 50, width=1 / 16, dtype=jnp.float64)
        task = segmentation(model, optimizer.make(STEPS), mean=GREY, std=SPREAD)
        run = five_steps(task, doubled(damped(drawn(task, batches[0]), {"bn3/scale": 0.2})), batches)
    net = segmenters.fcn_resnet50(weights=None, weights_backbone=None, num_classes=CLASSES, aux_loss=True)
    net = narrow(net, 1 / 16, ("classifier.4",))
    theirs = Module(net, run.states[0])
    rates = {"lr_of": lambda path: 10.0 if path.startswith("aux_classifier") else 1.0}
    steps, losses = sgd(dict(net.named_parameters()), 0.001, decay=1e-4, **rates), []
    for batch in batches:
        found = net(nchw(batch["image"], GREY, SPREAD))
        main, side = (F.cross_entropy(found[name], labels_of(batch), ignore_index=255) for name in ("out", "aux"))
        losses.append(descend(steps, main + 0.5 * side))
    assert_losses(run.losses(), losses)
    assert_variables(run, theirs.arrays(), within=1e-10)


def bilinear(side: int) -> Tensor:
    """Return the kernel by which maps are interpolated `side` / 2 times finer (Long et al. 2015, section 3.3)."""
    factor = (side + 1) // 2
    center = factor - 1 if side % 2 else factor - 0.5
    ramp = 1 - (torch.arange(side, dtype=torch.float64) - center).abs() / factor
    return ramp[:, None] * ramp[None]


def fcn8s(net: Layers, x: Tensor) -> Tensor:
    """Return the scores of the released FCN-8s at once: images padded by 100, its offsets of crops, scaled skips."""
    size, pools = x.shape[2:], {}
    bottom, right = (99 + -(198 + n) % 32 for n in size)
    x = F.pad(x, (99, right, 99, bottom))
    for block, count in enumerate(NETS["D"].convolutions, start=1):
        for i in range(1, count + 1):
            x = F.relu(net.part("trunk").conv(x, f"conv{block}_{i}", padding=1))
        x = pools[block] = F.max_pool2d(x, 2)
    for name in ("fc6", "fc7"):
        x = F.relu(net.part("head").conv(x, name))
    x = net.conv(x, "score_fc7")
    for block, offset, scale in ((4, 5, 0.01), (3, 9, 0.0001)):
        x = net.up(x, f"upscore_pool{block}")
        skip = net.conv(scale * pools[block], f"score_pool{block}")
        x = x + skip[:, :, offset : offset + x.shape[2], offset : offset + x.shape[3]]
    kernel = bilinear(16)[None, None].repeat(CLASSES, 1, 1, 1)
    x = F.conv_transpose2d(x, kernel, stride=8, groups=CLASSES)
    return x[:, :, 31 : 31 + size[0], 31 : 31 + size[1]]


def test_fcn8s_with_heavy_learning_of_a_sum_over_pixels():
    """Shelhamer et al. 2017, section 4.3: one image, momentum 0.99, the loss not divided, biases at twice the rate."""
    lr = 1e-6
    optimizer = Optimizer(
        lr=lr, momentum=0.99, weight_decay=5e-4, decay_norms=True, lr_scale=("bias$=2",), decay_scale=("bias$=0",)
    )
    batches = batches_of(1, 58, 90)
    model = FCN(CLASSES, 8, 1 / 16, skip_scales=(0.01, 0.0001))
    run = trained(model, optimizer, batches, normalise="none")
    net, losses = Layers.of(run.states[0]), []
    rates = {
        "lr_of": lambda path: 2.0 if path.endswith("bias") else 1.0,
        "decays": lambda path, leaf: path.endswith("kernel"),
    }
    steps = sgd(net.parameters(), lr, 0.99, 5e-4, **rates)
    for batch in batches:
        scores = fcn8s(net, nchw(batch["image"], GREY, SPREAD))
        losses.append(descend(steps, F.cross_entropy(scores, labels_of(batch), ignore_index=255, reduction="sum")))
    assert_losses(run.losses(), losses)
    assert_variables(run, net.arrays())


def unet(net: Layers, x: Tensor, levels: int) -> Tensor:
    """Return the scores of the middle of an image (Ronneberger et al. 2015, figure 1): no padding, cropped skips."""

    def double(x: Tensor, name: str) -> Tensor:
        return F.relu(net.conv(F.relu(net.conv(x, f"{name}_conv1")), f"{name}_conv2"))

    skips = {}
    for level in range(1, levels + 1):
        x = skips[level] = double(x, f"down{level}")
        x = F.max_pool2d(x, 2) if level < levels else x
    for level in range(levels - 1, 0, -1):
        x = net.up(x, f"upconv{level}")
        top, left = ((skips[level].shape[axis] - x.shape[axis]) // 2 for axis in (2, 3))
        skip = skips[level][:, :, top : top + x.shape[2], left : left + x.shape[3]]
        x = double(torch.cat([skip, x], 1), f"up{level}")
    return net.conv(x, "score")


def test_the_papers_unet_with_weights_of_pixels():
    optimizer, batches = Optimizer(lr=0.003, momentum=0.99), batches_of(2, 60, 44, weighted=True)
    run = trained(UNet(CLASSES, valid=True, levels=3, width=1 / 8), optimizer, batches)
    net, losses = Layers.of(run.states[0]), []
    steps = sgd(net.parameters(), 0.003, 0.99)
    for batch in batches:
        scores = unet(net, nchw(batch["image"], GREY, SPREAD), levels=3)
        top, left = ((batch["label_map"].shape[axis] - scores.shape[axis + 1]) // 2 for axis in (1, 2))
        middle = np.s_[:, top : top + scores.shape[2], left : left + scores.shape[3]]
        labels = labels_of(batch)[middle]
        energy = F.cross_entropy(scores, labels, ignore_index=255, reduction="none")
        weighted = torch.from_numpy(batch["weight_map"].astype(np.float64))[middle] * energy
        losses.append(descend(steps, weighted.sum() / (labels != 255).sum()))
    assert_losses(run.losses(), losses)
    assert_variables(run, net.arrays())
