"""Weights of Caffe's CaffeNet and VGG, `--init_from=caffe:FILE.caffemodel`, read without Caffe.

The networks saw pixels 0..255 minus a mean, in the order blue, green, red. CaffeNet was trained with a mean image, of
which the mean of each channel is taken here, as in all later code.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from jaxvision import foreign
from jaxvision.channels import Channels
from jaxvision.weights import protobuf
from jaxvision.weights.classifiers import VGG
from jaxvision.weights.imported import Imported
from jaxvision.weights.preprocess import Preprocess, label_names
from jaxvision.weights.rename import Path, nested
from jaxvision.weights.table import Table

CAFFENET_MEAN: Channels = (122.6789143406786, 116.66876761696767, 104.0069879317889)  # red, green, blue
VGG_MEAN: Channels = (123.68, 116.779, 103.939)
_NETS = {5: "caffenet", 13: "vgg16", 16: "vgg19"}  # by their number of convolutions
_FLATTENED = {"caffenet": 6, "vgg16": 7, "vgg19": 7}  # side of the map before fc6
# Numbers of fields: of the network its layers, in the form of today and that of before 2014; of either a layer's name
# and blobs; of a blob its shape, its values, and before 2014 its four dimensions.
_LAYERS, _OLD_LAYERS = 100, 2
_NAME, _BLOBS = {_LAYERS: 1, _OLD_LAYERS: 4}, {_LAYERS: 7, _OLD_LAYERS: 6}
_SHAPE, _DATA, _DIMENSIONS = 7, 5, (1, 2, 3, 4)


class Layer(NamedTuple):
    """A layer of the file."""

    name: str
    blobs: tuple[np.ndarray, ...]  # a kernel and a bias, or nothing


def read(file: str) -> Imported:
    """Read CaffeNet, VGG-16 or VGG-19; ValueError, in one line, where the file holds another network."""
    with foreign.named(file):
        return _read(file)


def _read(file: str) -> Imported:
    layers = list(_layers(file))
    learned = {layer.name: layer.blobs for layer in layers if len(layer.blobs) == 2}
    convolutions = [name for name in learned if name.startswith("conv")]
    net = _NETS.get(len(convolutions), "")
    expected = {"caffenet": [f"conv{i}" for i in range(1, 6)]}.get(net) or _vgg_names(net)
    if not net or convolutions != expected:
        found = ", ".join([layer.name for layer in layers][:3]) or "no layers"
        raise ValueError(f"--init_from=caffe:{file}: {found} … is neither CaffeNet nor VGG-16 or -19")
    names = [layer.name for layer in layers]
    if net == "caffenet" and "norm1" in names and names.index("norm1") < names.index("pool1"):
        raise ValueError(
            f"--init_from=caffe:{file}: Caffe's AlexNet, whose response normalisation stands before the pools and adds "
            "to 1, is no network here; CaffeNet is (bvlc_reference_caffenet)"
        )
    return _imported(file, net, learned)


def _imported(file: str, net: str, learned: Mapping[str, tuple[np.ndarray, ...]]) -> Imported:
    arrays: dict[Path, np.ndarray] = {}
    for name, (kernel, bias) in learned.items():
        arrays["params", name, "kernel"] = _kernel(name, kernel, _FLATTENED[net])
        arrays["params", name, "bias"] = bias.reshape(-1)
    first = next(iter(learned))
    arrays["params", first, "kernel"] = arrays["params", first, "kernel"][:, :, ::-1]  # blue, green, red to ours
    classes = len(learned["fc8"][1].reshape(-1)) if "fc8" in learned else 0
    known = label_names("imagenet")
    return Imported(
        nested(arrays),
        CAFFENET_MEAN if net == "caffenet" else VGG_MEAN,
        (1.0, 1.0, 1.0),
        file,
        net,
        Preprocess("BGR", (0, 255), resize=256, crop=227 if net == "caffenet" else 224),
        known if classes == len(known) else tuple(map(str, range(classes))),
        head=("fc8",),
        movable=("fc6", "fc7"),
    )


def _kernel(name: str, value: np.ndarray, side: int) -> np.ndarray:
    """Return a kernel [out, in, h, w], or a matrix [out, in] whose inputs may be a flattened map, in our layout."""
    if name.startswith("conv"):
        return value.transpose(2, 3, 1, 0)
    matrix = value.reshape(-1, value.shape[-1])
    if name != "fc6":
        return matrix.T
    return matrix.reshape(len(matrix), -1, side, side).transpose(2, 3, 1, 0)


def _vgg_names(net: str) -> list[str]:
    table: Table | None = next((table for table in VGG if table.name == net), None)
    return [rule.ours for rule in table.rules if rule.ours.startswith("conv")] if table else []


def _layers(file: str) -> Iterator[Layer]:
    """Yield the layers of a file in their order, those without weights too."""
    try:
        content = np.memmap(file, np.uint8, "r").data
        for number, value in protobuf.fields(content):
            if number in _NAME and isinstance(value, memoryview):
                yield _layer(number, value)
    except (ValueError, OSError) as error:
        raise ValueError(f"--init_from=caffe:{file}: cut short, or no .caffemodel ({error})") from None


def _layer(form: int, message: memoryview) -> Layer:
    name, blobs = "", []
    for number, value in protobuf.fields(message):
        if isinstance(value, memoryview) and number == _NAME[form]:
            name = bytes(value).decode()
        elif isinstance(value, memoryview) and number == _BLOBS[form]:
            blobs.append(_blob(value))
    return Layer(name, tuple(blobs))


def _blob(message: memoryview) -> np.ndarray:
    shape: list[int] = []
    old, data = dict.fromkeys(_DIMENSIONS, 0), []
    for number, value in protobuf.fields(message):
        if isinstance(value, int):
            old |= {number: value} if number in old else {}
        elif number == _DATA:
            data.append(value)
        elif number == _SHAPE:
            for _, dims in protobuf.fields(value):
                shape += [dims] if isinstance(dims, int) else protobuf.varints(dims)
    return protobuf.floats(data).reshape(shape or list(old.values()))
