"""The experiments that imported weights belong to, with the flags that build their network.

The launcher uses these values as defaults of the flags, so that `--mode=predict --init_from=torchvision:resnet50.pth`
needs no other flag than `--input`.
"""

import re
from collections.abc import Mapping
from typing import Any

from jaxvision.models.resnet import BLOCKS
from jaxvision.models.vgg import NETS
from jaxvision.models.yolo import NETS as YOLO_NETS
from jaxvision.run.config import to_dict
from jaxvision.tasks.proposals import ProposalConfig
from jaxvision.tasks.regions import RegionConfig
from jaxvision.weights.darknet import GRID, class_count
from jaxvision.weights.imported import Imported, encoder_of

FlagValues = dict[str, Any]
"""Values by the names of flags, such as "network.depth"."""


def settings_of(imported: Imported) -> dict[str, FlagValues]:
    """Return the flags of each experiment that can start from the weights, the one they were trained for first.

    An empty dict says that no experiment is known.
    """
    if imported.run:
        own = {name: value for name, value in imported.run["config"].items() if _OF_NETWORK.match(name)}
        return {imported.run["experiment"]: own}
    params = imported.variables["params"]
    name = imported.network.partition("1")[0]  # "vgg16_bn" is a VGG
    if name == "vgg":
        return {"classification/vgg": {**_classifier(imported), **_vgg(params)}}
    if name == "caffenet":
        classifier = {**_classifier(imported), "variant": "caffenet"}
        return {
            "classification/alexnet": classifier,
            "detection/rcnn": {"network.kind": "alexnet", "network.width": 1.0},
        }
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


# Settings of our experiments that say which network is built, and not what it learns from, or for how long.
_OF_NETWORK = re.compile(
    r"(backbone|networks?|net|variant|version|depth|width|levels|shortcut|stem|batch_norm|valid|window|hidden|unpooling"
    r"|image_size)(\.|$)"
)

FIRST_LAYERS = ("backbone/(conv1|bn1|layer1_)",)
"""The layers of a ResNet that stay as ImageNet's images made them, as torchvision and Detectron train detectors; their
batch norms stay as they are in all layers, since batches of a few images have no statistics to speak of."""


def fitting(flags: FlagValues, preset: Mapping[str, Any]) -> FlagValues:
    """Return the flags that change a preset so that its network fits the weights.

    Args:
        flags: of `settings_of`, for one experiment.
        preset: all flags of the preset that the user chose.

    Returns:
        The flags. For weights of a ResNet alone, a detector keeps the preset's backbone where that has its layers too.
    """
    alone = "network.anchor_sizes" not in flags
    kept = alone and flags.get("network.backbone") == "resnet_fpn" and preset.get("network.backbone") == "resnet_c4"
    return {name: value for name, value in flags.items() if not (kept and name == "network.backbone")}


def for_training(imported: Imported, experiment: str) -> Imported:
    """Return the weights as another experiment takes them.

    A run of ours gives its encoder to other experiments. A classifier of whole images is left out where the experiment
    trains none, as a detector.
    """
    if imported.run and imported.run["experiment"] != experiment:
        return imported._replace(variables=encoder_of(imported.variables), network="", class_names=(), head=(), run={})
    trained_for = next(iter(settings_of(imported)), "")
    foreign = trained_for.startswith("classification/") and not experiment.startswith("classification/")
    return imported.without_head() if foreign and imported.head else imported


def account(imported: Imported, experiment: str, config: Mapping[str, Any]) -> str:
    """Return a line with the flags that were chosen to fit the weights.

    Args:
        imported: the weights.
        experiment: its name, such as "detection/faster_rcnn".
        config: all flags of the run.

    Returns:
        The line; "" where no flag was chosen, or the user gave others.
    """
    flags = settings_of(imported).get(experiment, {})
    as_saved = {name: list(value) if isinstance(value, tuple) else value for name, value in flags.items()}
    chosen = [f"{name}={flags[name]}" for name, value in as_saved.items() if config.get(name) == value]
    return f"{imported.origin}: flags chosen to fit it: {', '.join(chosen)}" if chosen else ""


# Flags of --mode=predict and --mode=evaluate without training: no data, and small batches for a handful of photos.
ONLY_LOOKING: Mapping[str, FlagValues] = {
    "classification": {"data": "none", "batch_size": 8},
    "segmentation": {"data": "none", "train_split": "train", "val_split": "val", "batch_size": 2},
    "detection": {"data": "none", "train_split": "train", "val_split": "val", "batch_size": 1},
}


def _classifier(imported: Imported) -> FlagValues:
    seen = imported.preprocess
    return {"width": 1.0, "image_size": seen.crop, "test.resize": seen.resize}


def _vgg(params: Mapping[str, Any]) -> FlagValues:
    counts = tuple(sum(name.startswith(f"conv{block}_") for name in params) for block in range(1, 6))
    (net,) = (name for name, net in NETS.items() if net.convolutions == counts and name in ("A", "B", "D", "E"))
    return {"net": net, "batch_norm": "bn1_1" in params}


def _blocks(params: Mapping[str, Any]) -> int:
    return sum(name.startswith("layer") for name in params)


def _depth(params: Mapping[str, Any]) -> int:
    """Return the depth of a ResNet, which follows from the number of its blocks and from their kind."""
    bottlenecks = "conv3" in params["layer1_0"]
    depths = [depth for depth, b in BLOCKS.items() if sum(b) == _blocks(params) and (depth >= 50) == bottlenecks]
    return depths[0] if depths else 50


def _resnet(imported: Imported) -> dict[str, FlagValues]:
    params = imported.variables["params"]
    depth, small = _depth(params), params["conv1"]["kernel"].shape[0] == 3
    network = {"depth": depth, "version": "v1.5", "shortcut": "B", "stem": "cifar" if small else "imagenet"}
    backbone = {
        "network.backbone": "resnet_fpn",
        "network.depth": depth,
        "network.width": 1.0,
        "network.norm": "frozen",
        "network.norm_epsilon": 1e-5,
        "optimizer.freeze": FIRST_LAYERS,
    }
    return {
        "classification/resnet": {**_classifier(imported), **network},
        "detection/faster_rcnn": backbone,
        "detection/mask_rcnn": backbone,
        "detection/rcnn": {"network.kind": "resnet", "network.depth": depth, "network.width": 1.0},
    }


def _fcn(imported: Imported) -> FlagValues:
    """Return the flags of FCN: torchvision resizes the shorter side. The canvas is for 4:3; longer ones shrink."""
    height = imported.preprocess.resize
    depth = _depth(imported.variables["params"]["backbone"])
    canvas = (height, -(-height * 4 // 3))
    return {"network": f"fcn_resnet{depth}", "width": 1.0, "view.test_size": canvas, "view.shorter": height}


def _rcnn(imported: Imported) -> FlagValues:
    """Return the flags of Faster and Mask R-CNN, with the details that torchvision's weights were trained with."""
    flags = {
        "network.backbone": "resnet_fpn",
        "network.depth": _depth(imported.variables["params"]["backbone"]),
        "network.width": 1.0,
        "network.norm": "frozen",
        "network.norm_epsilon": 0.0,
        "optimizer.freeze": FIRST_LAYERS,
        "network.anchor_sizes": (32.0, 64.0, 128.0, 256.0, 512.0),
        "network.rounded_anchors": True,
        "network.roi_aligned": False,
        "view.short": imported.preprocess.resize,
        "view.long": imported.preprocess.longest,
    }
    stages = {"proposing": ProposalConfig(), "detecting": RegionConfig()}
    return flags | {f"{stage}.{k}": v for stage, config in stages.items() for k, v in to_dict(config).items()}


def _yolo(params: Mapping[str, Any]) -> FlagValues:
    net = "darknet" if "local" in params else "fast" if "fc2" in params else "paper" if "fc1" in params else "tiny"
    _, boxes = class_count(len(params["predictions"]["bias"]))
    normed = "bn1" in params and not YOLO_NETS[net].batch_norm  # the net is published without norms
    network = {
        "net": net,
        "grid": GRID,
        "boxes": boxes,
        "width": 1.0,
        "stride": 64,
        "batch_norm": normed,
        "per_cell": False,
    }
    return {"view.size": 448, "pretraining.steps": 0} | {f"network.{field}": value for field, value in network.items()}
