"""Weights of torchvision's networks, and of other files whose layers have its names: `--init_from=torchvision:FILE`.

The network is recognised by the names of the layers. FILE is what `torch.save` writes, .safetensors or .npz.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxvision.weights import state_dict
from jaxvision.weights.classifiers import ALEXNET, GOOGLENET, VGG
from jaxvision.weights.detectors import FASTER_RCNN, MASK_RCNN
from jaxvision.weights.imported import Imported
from jaxvision.weights.preprocess import label_names
from jaxvision.weights.rename import flat, nested
from jaxvision.weights.resnets import CIFAR_A, CIFAR_B, RESNET, encoder
from jaxvision.weights.segmenters import FCN
from jaxvision.weights.state_dict import Tensors
from jaxvision.weights.table import Table

TABLES = (ALEXNET, *VGG, GOOGLENET, RESNET, CIFAR_A, CIFAR_B, FCN, FASTER_RCNN, MASK_RCNN)
_KNOWN = "AlexNet, VGG, GoogLeNet, ResNet, FCN, Faster and Mask R-CNN, CIFAR's ResNets, MoCo and SimCLR on ResNet"


def read(file: str) -> Imported:
    """Read the network in `file`; ValueError, in one line, where it is not a known one."""
    tensors = state_dict.read(file)
    for table in TABLES:
        if (arrays := table.read(tensors)) is not None:
            return _imported(file, table, nested(arrays))
    if match := encoder(tensors):
        table, trunk = match
        if (arrays := table.read(trunk)) is not None:
            return _imported(file, table, nested(arrays))
    names = ", ".join(list(tensors)[:3])
    raise ValueError(f"{file}: a network with {names} … is none that is known here: {_KNOWN}")


def write(variables: Mapping[str, Any]) -> tuple[str, Tensors]:
    """Return the name of the network and its state dict for torch, the reverse of `read`.

    Raises ValueError where torchvision has no such network.
    """
    arrays = {path: np.asarray(value) for path, value in flat(variables).items()}
    for table in TABLES:
        if (tensors := table.write(arrays)) is not None:
            return table.name, tensors
    names = ", ".join(list(variables["params"])[:3])
    raise ValueError(f"--mode=export: a network with {names} … has no counterpart in torch; known are {_KNOWN}")


def _imported(file: str, table: Table, variables: dict[str, Any]) -> Imported:
    head = table.head[0].split("/") if table.head else []
    return Imported(
        variables,
        table.mean,
        table.std,
        file,
        table.name,
        table.preprocess,
        _class_names(table.labels, variables["params"], head),
        table.head,
        table.optional,
        table.movable,
    )


def _class_names(labels: str, params: Mapping[str, Any], head: list[str]) -> tuple[str, ...]:
    """Return the table's labels if there is one for each output of the classifier, else numbers."""
    node: Any = params
    for name in head:
        node = node.get(name, {})
    leaf = node.get("cls_score", node)
    if "bias" not in leaf:
        return ()
    count = len(leaf["bias"])
    names = label_names(labels) if labels else ()
    return names if len(names) == count else tuple(map(str, range(count)))
