"""Tables of layer names of ResNets: torchvision's, CIFAR's, and those in checkpoints of MoCo and SimCLR."""

import numpy as np

from jaxvision.weights.preprocess import Preprocess
from jaxvision.weights.rename import Path, Rule
from jaxvision.weights.state_dict import Tensors
from jaxvision.weights.table import Arrays, Table, has_layer

TRUNK = (
    Rule("conv1", "conv1"),
    Rule("bn1", "bn1"),
    Rule("layer{i}.{j}.conv{k}", "layer{i}_{j}/conv{k}"),
    Rule("layer{i}.{j}.bn{k}", "layer{i}_{j}/bn{k}"),
    Rule("layer{i}.{j}.downsample.0", "layer{i}_{j}/shortcut/conv"),
    Rule("layer{i}.{j}.downsample.1", "layer{i}_{j}/shortcut/bn"),
)
RESNET = Table(
    "resnet",
    (*TRUNK, Rule("fc", "fc", 1)),
    head=("fc",),
    movable=("layer4_0", "layer4_1", "layer4_2"),  # detectors on one map have the last stage in their head, or not
    holds=lambda arrays: has_layer(arrays, "layer4_0"),
)

# Prefixes of the encoder in checkpoints of other training code, and of arrays that may lie beside it.
_ENCODERS = ("encoder_q.", "backbone.", "encoder.")
_BESIDE = ("encoder_k.", "queue", "projector.", "projection")


def encoder(tensors: Tensors) -> tuple[Table, Tensors] | None:
    """Return table and tensors of the ResNet in a checkpoint of MoCo or SimCLR; None where the file is none."""
    for prefix in _ENCODERS:
        inside = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        beside = [k for k in tensors if not k.startswith((prefix, *_BESIDE))]
        if "layer4.0.conv1.weight" in inside and not beside:
            trunk = {name: value for name, value in inside.items() if not name.startswith("fc.")}
            return (MOCO if prefix == "encoder_q." else SIMCLR), trunk
    return None


MOCO = RESNET._replace(name="moco", head=(), optional=("fc",), labels="")
# SimCLR (Chen et al. 2020) takes pixels in 0..1, not normalised.
SIMCLR = MOCO._replace(name="simclr", mean=(0.0,) * 3, std=(255.0,) * 3)


def _centred(channels: int) -> np.ndarray:
    """Return the channel of these files that is our channel i, for every i.

    Shortcuts without parameters (option A) put a stage's channels in the middle of twice as many in these files, and
    before the new ones in ours. The first stage has 16 channels, in the same order.
    """
    if channels <= 16:
        return np.arange(channels)
    quarter = channels // 4
    return np.concatenate([quarter + _centred(channels // 2), np.arange(quarter), np.arange(3 * quarter, channels)])


def _reorder(arrays: dict[Path, np.ndarray], inverse: bool) -> dict[Path, np.ndarray]:
    """Reorder the channels of the residual stream in every array that reads or writes it."""

    def order(count: int) -> np.ndarray:
        return np.argsort(_centred(count)) if inverse else _centred(count)

    changed = dict(arrays)
    for path, value in arrays.items():
        layer, leaf = "/".join(path[1:-1]), path[-1]
        if layer == "fc" and leaf == "kernel":
            changed[path] = value[order(len(value))]
        elif layer.endswith("/conv1") and leaf == "kernel":
            changed[path] = value[:, :, order(value.shape[2])]
        elif layer.endswith(("/conv2", "/bn2")):
            changed[path] = value[..., order(value.shape[-1])]
    return changed


def _three_stages(arrays: Arrays) -> bool:
    return has_layer(arrays, "layer3_0") and not has_layer(arrays, "layer4_0")


_CIFAR = (*TRUNK[:4], Rule("linear", "fc", 1))
CIFAR_A = Table(
    "cifar_resnet",
    _CIFAR,
    Preprocess(),
    labels="",
    head=("fc",),
    holds=_three_stages,
    arrive=lambda arrays: _reorder(arrays, inverse=False),
    leave=lambda arrays: _reorder(arrays, inverse=True),
)
CIFAR_B = Table(
    "cifar_resnet_b",
    (
        *_CIFAR,
        Rule("layer{i}.{j}.shortcut.0", "layer{i}_{j}/shortcut/conv"),
        Rule("layer{i}.{j}.shortcut.1", "layer{i}_{j}/shortcut/bn"),
    ),
    Preprocess(),
    labels="",
    head=("fc",),
    holds=lambda arrays: _three_stages(arrays) and has_layer(arrays, "layer2_0/shortcut"),
)
