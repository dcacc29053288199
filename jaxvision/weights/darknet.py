"""YOLO's weights in darknet's own format, `--init_from=darknet:FILE`: a short header, then nothing but float32.

A file says neither which network it is of nor where a layer ends. Both follow from how many numbers there are.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32

from jaxvision.models.yolo import NETS, Net
from jaxvision.weights.imported import Imported
from jaxvision.weights.preprocess import Preprocess, label_names
from jaxvision.weights.rename import Path, nested

GRID = 7  # cells a side, of every published network
_EPSILON = 1e-5  # of our batch norm, under the root; darknet adds 1e-6 to the root
_COUNTS = ((20, 2), (20, 3), (80, 2), (80, 3))  # classes, and boxes a cell: VOC's and COCO's networks
_BLACK, _WHITE = (0.0,) * 3, (255.0,) * 3  # pixels are seen as 0..1
# Images are stretched to 448×448 pixels, whatever their shape.
_SEEN = Preprocess(resize=448, antialias=False)


class Layout(NamedTuple):
    """What a file holds: the first `depth` convolutions of a net, and with `outputs` the layers after them."""

    name: str
    batch_norm: bool
    depth: int
    outputs: int  # of the last layer; 0 for the convolutions alone


def read(file: str) -> Imported:
    """A detector, or the convolutions alone. ValueError where the numbers are those of no network of `models.yolo`."""
    numbers, transposed = _numbers(file)
    found = next((layout for layout in _layouts() if _size(layout) == numbers.size), None)
    if found is None:
        raise ValueError(
            f"--init_from=darknet:{file}: {numbers.size} numbers, which is no YOLO of {', '.join(NETS)} nor its "
            "convolutions; is the file whole?"
        )
    taken = _Numbers(numbers)
    arrays = dict(_convolutions(found, taken))
    if not found.outputs:
        return Imported(nested(arrays), _BLACK, _WHITE, file, preprocess=_SEEN)
    arrays |= dict(_after(found, taken, transposed))
    names = _class_names(found.outputs)
    return Imported(nested(arrays), _BLACK, _WHITE, file, "yolo", _SEEN, names, ("predictions",))


def class_count(outputs: int) -> tuple[int, int]:
    """Classes, and boxes a cell, of a last layer with so many outputs."""
    return next((c, b) for c, b in _COUNTS if GRID**2 * (c + 5 * b) == outputs)


class _Numbers:
    """What is still to be read."""

    def __init__(self, rest: Float32[np.ndarray, " N"]) -> None:
        self._rest = rest

    def take(self, *shape: int) -> np.ndarray:
        """The next numbers, in that shape."""
        count = int(np.prod(shape))
        found, self._rest = self._rest[:count], self._rest[count:]
        return found.reshape(shape)


def _numbers(file: str) -> tuple[Float32[np.ndarray, " N"], bool]:
    """All numbers after the header, and whether matrices are stored by input (in files of before 2016)."""
    content = np.memmap(file, np.uint8, "r") if _length(file) else np.zeros(0, np.uint8)
    if content.size < 16:
        raise ValueError(f"--init_from=darknet:{file}: cut short, or no file of darknet")
    major, minor, _ = content[:12].view("<i4").tolist()
    # From version 0.2 on the number of images seen in training takes eight bytes.
    start = 20 if 10 * major + minor >= 2 and max(major, minor) < 1000 else 16
    whole = content[start : content.size - (content.size - start) % 4]
    return whole.view("<f4"), max(major, minor) > 1000


def _length(file: str) -> int:
    with open(file, "rb") as stream:
        return stream.seek(0, 2)


def _layouts() -> Iterator[Layout]:
    for name, net in NETS.items():
        for batch_norm in sorted({net.batch_norm, True}):
            for classes, boxes in _COUNTS:
                yield Layout(name, batch_norm, len(net.convolutions), GRID**2 * (classes + 5 * boxes))
            for depth in (net.pretrained, len(net.convolutions)):
                yield Layout(name, batch_norm, depth, 0)


def _size(layout: Layout) -> int:
    """How many numbers a file of this layout has."""
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
    """Each as its biases, the rest of its batch norm, and its kernel [out, in, h, w]."""
    before = 3
    for i, layer in enumerate(NETS[layout.name].convolutions[: layout.depth], start=1):
        n, k = layer.channels, layer.kernel_size
        normed = f"bn{i}" if layout.batch_norm else f"conv{i}"
        yield ("params", normed, "bias"), numbers.take(n)
        if layout.batch_norm:
            yield ("params", normed, "scale"), numbers.take(n)
            yield ("batch_stats", normed, "mean"), numbers.take(n)
            # Below 0 for a channel that hardly varies, and right all the same: epsilon is added first.
            yield ("batch_stats", normed, "var"), (np.sqrt(numbers.take(n)) + np.float32(1e-6)) ** 2 - _EPSILON
        yield ("params", f"conv{i}", "kernel"), numbers.take(n, before, k, k).transpose(2, 3, 1, 0)
        before = n


def _after(layout: Layout, numbers: _Numbers, transposed: bool) -> Iterator[tuple[Path, np.ndarray]]:
    """The locally connected layer, where there is one, and the fully connected ones."""
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
    """VOC's, or COCO's without the ids that it never used; after the background, as everywhere in detection."""
    classes, _ = class_count(outputs)
    names: Any = label_names("voc" if classes == 20 else "coco")
    return tuple(name for name in names if name != "N/A")
