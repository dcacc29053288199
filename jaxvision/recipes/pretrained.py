"""Which experiment a network from elsewhere belongs to, and the settings that build it there.

The launcher takes these settings as defaults, so that `--mode=predict --init_from=torchvision:resnet50.pth` needs no
other flag than `--input`.
"""

from collections.abc import Mapping
from typing import Any

from jaxvision.models.resnet import BLOCKS
from jaxvision.models.vgg import NETS
from jaxvision.models.yolo import NETS as YOLO_NETS
from jaxvision.run.config import to_dict
from jaxvision.tasks.proposals import ProposalConfig
from jaxvision.tasks.regions import RegionConfig
from jaxvision.weights.darknet import GRID, class_count
from jaxvision.weights.imported import Imported

Settings = dict[str, Any]


def settings_of(imported: Imported) -> dict[str, Settings]:
    """Settings for every experiment that can start from these weights, their own first; {} where none is known."""
    params = imported.variables["params"]
    name = imported.network.partition("1")[0]  # "vgg16_bn" is a VGG
    if name == "vgg":
        return {"classification/vgg": {**_classifier(imported), **_vgg(params)}}
    if name in ("alexnet", "googlenet"):
        return {f"classification/{name}": {**_classifier(imported), "variant": "torchvision"}}
    if name in ("resnet", "moco", "simclr"):
        return _resnet(imported)
    if name.startswith("cifar_resnet"):
        option = "B" if "shortcut" in params["layer2_0"] else "A"
        return {"classification/resnet": {"width": 1.0, "depth": 2 + 2 * _blocks(params), "shortcut": option}}
    if name == "fcn_resnet":
        return {"segmentation/fcn": _fcn(imported)}
    if name in ("faster_rcnn", "mask_rcnn"):
        return {f"detection/{name}": _rcnn(imported)}
    return {"detection/yolo": _yolo(params)} if name == "yolo" else {}


# What only predicting and evaluating need: no data, and batches that suit a handful of photos.
ONLY_LOOKING: Mapping[str, Settings] = {
    "classification": {"data": "none", "batch_size": 8},
    "segmentation": {"data": "none", "train_split": "train", "val_split": "val", "batch_size": 2},
    "detection": {"data": "none", "train_split": "train", "val_split": "val", "batch_size": 1},
}


def _classifier(imported: Imported) -> Settings:
    seen = imported.preprocess
    return {"width": 1.0, "image_size": seen.crop, "test.resize": seen.resize}


def _vgg(params: Mapping[str, Any]) -> Settings:
    counts = tuple(sum(name.startswith(f"conv{block}_") for name in params) for block in range(1, 6))
    (net,) = (name for name, net in NETS.items() if net.convolutions == counts and name in ("A", "B", "D", "E"))
    return {"net": net, "batch_norm": "bn1_1" in params}


def _blocks(params: Mapping[str, Any]) -> int:
    return sum(name.startswith("layer") for name in params)


def _depth(params: Mapping[str, Any]) -> int:
    """18 to 152: how many blocks of how many convolutions there are."""
    bottlenecks = "conv3" in params["layer1_0"]
    found = [depth for depth, b in BLOCKS.items() if sum(b) == _blocks(params) and (depth >= 50) == bottlenecks]
    return found[0] if found else 50


def _resnet(imported: Imported) -> dict[str, Settings]:
    params = imported.variables["params"]
    depth, small = _depth(params), params["conv1"]["kernel"].shape[0] == 3
    network = {"depth": depth, "version": "v1.5", "shortcut": "B", "stem": "cifar" if small else "imagenet"}
    backbone = {"network.backbone": "resnet_fpn", "network.depth": depth, "network.width": 1.0}
    return {
        "classification/resnet": {**_classifier(imported), **network},
        "detection/faster_rcnn": backbone,
        "detection/mask_rcnn": backbone,
        "detection/rcnn": {"network.kind": "resnet", "network.depth": depth, "network.width": 1.0},
    }


def _fcn(imported: Imported) -> Settings:
    """torchvision resizes the shorter side; here images of up to 4:3 are fitted on a canvas of that height."""
    height = imported.preprocess.resize
    depth = _depth(imported.variables["params"]["backbone"])
    canvas = (height, -(-height * 4 // 3))
    return {"network": f"fcn_resnet{depth}", "width": 1.0, "view.test_size": canvas}


def _rcnn(imported: Imported) -> Settings:
    """With the details that torchvision's weights were trained with and work well only with."""
    settings = {
        "network.backbone": "resnet_fpn",
        "network.depth": _depth(imported.variables["params"]["backbone"]),
        "network.width": 1.0,
        "network.norm": "frozen",
        "network.norm_epsilon": 0.0,
        "network.anchor_sizes": (32.0, 64.0, 128.0, 256.0, 512.0),
        "network.rounded_anchors": True,
        "network.roi_aligned": False,
        "view.short": imported.preprocess.resize,
        "view.long": imported.preprocess.longest,
    }
    numbers = {"proposing": ProposalConfig(), "detecting": RegionConfig()}
    return settings | {f"{part}.{k}": v for part, value in numbers.items() for k, v in to_dict(value).items()}


def _yolo(params: Mapping[str, Any]) -> Settings:
    net = "darknet" if "local" in params else "fast" if "fc2" in params else "paper" if "fc1" in params else "tiny"
    _, boxes = class_count(len(params["predictions"]["bias"]))
    normed = "bn1" in params and not YOLO_NETS[net].batch_norm  # where it is published without
    network = {"net": net, "grid": GRID, "boxes": boxes, "width": 1.0, "stride": 64, "batch_norm": normed}
    return {"view.size": 448, "pretraining.steps": 0} | {f"network.{field}": value for field, value in network.items()}
