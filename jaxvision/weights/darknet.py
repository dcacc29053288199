"""YOLO's weights in darknet's own format, `--init_from=darknet:FILE`: a short header, then nothing but float32.

A file names neither its network nor its layers; both follow from the number of its values.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32

from jaxvision import foreign
from jaxvision.models.yolo import NETS, Net
from jaxvision.weights.imported import Imported
from jaxvision.weights.preprocess import Preprocess, label_names
from jaxvision.weights.rename import Path, nested

GRID = 7  # cells along each side, in every published network
_EPSILON = 1e-5  # of our batch norm, added to the variance; darknet adds 1e-6 to the standard deviation
_COUNTS = ((20, 2), (20, 3), (80, 2), (80, 3))  # classes and boxes of a cell, of VOC's and COCO's networks
_BLACK, _WHITE = (0.0,) * 3, (255.0,) * 3  # mean and std that scale pixels to 0..1
# Images are stretched to 448×448 pixels, whatever their shape.
_PREPROCESS = Preprocess(resize=448, antialias=False)


class Layout(NamedTuple):
    """The layers of a file."""

    name: str  # of the network in `models.yolo.NETS`
    batch_norm: bool  # True if convolutions have batch norm instead of a bias
    depth: int  # number of convolutions, from the first
    outputs: int  # features of the last layer; 0 for the convolutions alone


def read(file: str) -> Imported:
    """Read a detector, or its convolutions alone; ValueError where the file fits no network of `models.yolo`."""
    numbers, transposed = _numbers(file)
    layout = next((layout for layout in _layouts() if _size(layout) == numbers.size), None)
    if layout is None:
        raise ValueError(
            f"--init_from=darknet:{file}: {numbers.size} numbers, which is no YOLO of {', '.join(NETS)} nor its "
            "convolutions; is the file whole?"
        )
    remaining = _Numbers(numbers)
    arrays = dict(_convolutions(layout, remaining))
    if not layout.outputs:
        return Imported(nested(arrays), _BLACK, _WHITE, file, preprocess=_PREPROCESS)
    arrays |= dict(_after(layout, remaining, transposed))
    names = _class_names(layout.outputs)
    return Imported(nested(arrays), _BLACK, _WHITE, file, "yolo", _PREPROCESS, names, ("predictions",))


def class_count(outputs: int) -> tuple[int, int]:
    """Return the number of classes, and of boxes in a cell, of a last layer with `outputs` features."""
    return next((c, b) for c, b in _COUNTS if GRID**2 * (c + 5 * b) == outputs)


class _Numbers:
    """The values of a file that are not read yet."""

    def __init__(self, rest: Float32[np.ndarray, " N"]) -> None:
        self._rest = rest

    def take(self, *shape: int) -> np.ndarray:
        """Remove and return the next values, in the given shape."""
        count = int(np.prod(shape))
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken.reshape(shape)


def _numbers(file: str) -> tuple[Float32[np.ndarray, " N"], bool]:
    """Return all values after the header, and True if matrices are stored by input (in files from before 2016)."""
    content = np.memmap(file, np.uint8, "r") if _length(file) else np.zeros(0, np.uint8)
    if content.size < 16:
        raise ValueError(f"--init_from=darknet:{file}: cut short, or no file of darknet")
    major, minor, _ = content[:12].view("<i4").tolist()
    # From version 0.2 on the number of images seen in training takes eight bytes.
    start = 20 if 10 * major + minor >= 2 and max(major, minor) < 1000 else 16
    whole = content[start : content.size - (content.size - start) % 4]
    return whole.view("<f4"), max(major, minor) > 1000


def _length(file: str) -> int:
    with foreign.opened(file) as stream:
        return stream.seek(0, 2)


def _layouts() -> Iterator[Layout]:
    for name, net in NETS.items():
        for batch_norm in sorted({net.batch_norm, True}):
            for classes, boxes in _COUNTS:
                yield Layout(name, batch_norm, len(net.convolutions), GRID**2 * (classes + 5 * boxes))
            for depth in (net.pretrained, len(net.convolutions)):
                yield Layout(name, batch_norm, depth, 0)


def _size(layout: Layout) -> int:
    """Return the number of values in a file of this layout."""
    net, before, count = NETS[layout.name], 3, 0
    for layer in net.convolutions[: layout.depth]:
        count += layer.channels * (before * layer.kernel_size**2 + (4 if layout.batch_norm else 1))
        before = layer.channels
    if not layout.outputs:
        return count
    if net.local:
        count += GRID**2 * net.local * (9 * before + 1)
    inputs = GRID**2 * (net.local or before)
    for features in (*(layer.features for layer in net.hidden), layout.outputs):
        count, inputs = count + features * (inputs + 1), features
    return count


def _convolutions(layout: Layout, numbers: _Numbers) -> Iterator[tuple[Path, np.ndarray]]:
    """Yield the convolutions; each is stored as biases, the rest of batch norm, and the kernel [out, in, h, w]."""
    before = 3
    for i, layer in enumerate(NETS[layout.name].convolutions[: layout.depth], start=1):
        n, k = layer.channels, layer.kernel_size
        normed = f"bn{i}" if layout.batch_norm else f"conv{i}"
        yield ("params", normed, "bias"), numbers.take(n)
        if layout.batch_norm:
            yield ("params", normed, "scale"), numbers.take(n)
            yield ("batch_stats", normed, "mean"), numbers.take(n)
            # Negative for a channel that hardly varies, which is no error: the layer adds epsilon before the root.
            yield ("batch_stats", normed, "var"), (np.sqrt(numbers.take(n)) + np.float32(1e-6)) ** 2 - _EPSILON
        yield ("params", f"conv{i}", "kernel"), numbers.take(n, before, k, k).transpose(2, 3, 1, 0)
        before = n


def _after(layout: Layout, numbers: _Numbers, transposed: bool) -> Iterator[tuple[Path, np.ndarray]]:
    """Yield the locally connected layer, if there is one, and the fully connected layers."""
    net = NETS[layout.name]
    before = net.convolutions[-1].channels
    if net.local:
        n, places = net.local, (GRID, GRID)
        yield ("params", "local", "bias"), numbers.take(n, *places).transpose(1, 2, 0)
        # linen sees the inputs of a place as one axis, in the same order: channel, row, column.
        yield ("params", "local", "kernel"), numbers.take(*places, n, before * 9).transpose(0, 1, 3, 2)
        before = n
    inputs, side = GRID**2 * before, GRID
    for name, features in _dense(net, layout.outputs):
        yield ("params", name, "bias"), numbers.take(features)
        matrix = numbers.take(inputs, features).T if transposed else numbers.take(features, inputs)
        rows = matrix.reshape(features, -1, side, side).transpose(2, 3, 1, 0)
        yield ("params", name, "kernel"), rows.reshape(inputs, features)
        inputs, side = features, 1


def _dense(net: Net, outputs: int) -> list[tuple[str, int]]:
    hidden = [(f"fc{i}", layer.features) for i, layer in enumerate(net.hidden, start=1)]
    return [*hidden, ("predictions", outputs)]


def _class_names(outputs: int) -> tuple[str, ...]:
    """Return the names of VOC or COCO, background first, without the ids that COCO never used."""
    classes, _ = class_count(outputs)
    names: Any = label_names("voc" if classes == 20 else "coco")
    return tuple(name for name in names if name != "N/A")
