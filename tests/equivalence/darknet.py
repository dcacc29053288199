"""darknet's arithmetic for YOLO in NumPy and float64: layers with a backward pass, the detection layer, the update.

As in darknet, `delta` is what an output should move by: the negative gradient of half of the squared errors. Maps are
[B, H, W, C], as ours are, where darknet has [B, C, H, W].
"""

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

SLOPE = 0.1
Layer = dict[str, np.ndarray]


class Grid(NamedTuple):
    """The outputs of the detection layer, in its order: all classes, all confidences, all boxes."""

    side: int
    boxes: int  # of a cell
    classes: int


class Network:
    """3×3 convolutions, each with a 2×2 max-pool, and fully connected layers; all but the last are leaky."""

    def __init__(self, layers: dict[str, Layer]) -> None:
        self.layers = {name: {k: v.astype(np.float64) for k, v in layer.items()} for name, layer in layers.items()}
        self.updates = {name: {k: 0 * v for k, v in layer.items()} for name, layer in self.layers.items()}
        self.names, self.seen = list(layers), []

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the outputs [B, N]."""
        self.seen = []
        for name, layer in self.layers.items():
            kernel, given = layer["kernel"], x
            if kernel.ndim == 4:
                y = np.tensordot(_windows(x, 1), kernel, ((4, 5, 3), (0, 1, 2))) + layer["bias"]
            else:
                given = x.reshape(len(x), -1)
                y = given @ kernel + layer["bias"]
            y = y if name == self.names[-1] else np.where(y > 0, y, SLOPE * y)
            self.seen.append((given, y, x.shape))
            x = _quarters(y).max((2, 4)) if kernel.ndim == 4 else y
        return x

    def backward(self, delta: np.ndarray) -> None:
        """Add to each layer's updates what the deltas of the outputs ask for."""
        for name, (x, y, shape) in reversed(list(zip(self.names, self.seen, strict=True))):
            kernel, update = self.layers[name]["kernel"], self.updates[name]
            if kernel.ndim == 4:
                quarters = _quarters(y)
                largest = quarters == quarters.max((2, 4), keepdims=True)
                delta = (largest * delta.reshape(*quarters.shape[:2], 1, quarters.shape[3], 1, -1)).reshape(y.shape)
            if name != self.names[-1]:
                delta = np.where(y > 0, delta, SLOPE * delta)
            update["bias"] += delta.reshape(-1, delta.shape[-1]).sum(0)
            if kernel.ndim == 4:
                update["kernel"] += np.einsum("bhwcij,bhwo->ijco", _windows(x, 1), delta)
                delta = np.tensordot(_windows(delta, 1), kernel[::-1, ::-1], ((4, 5, 3), (0, 1, 3)))
            else:
                update["kernel"] += x.T @ delta
                delta = (delta @ kernel.T).reshape(shape)

    def update(self, lr: float, momentum: float, decay: float, batch: int) -> None:
        """Apply the updates, which keep a share of themselves: `update_convolutional_layer`. Biases do not decay."""
        for name, layer in self.layers.items():
            self.updates[name]["kernel"] -= decay * batch * layer["kernel"]
            for field, update in self.updates[name].items():
                layer[field] += lr / batch * update
                update *= momentum


def truth_of(boxes: np.ndarray, labels: np.ndarray, size: int, grid: Grid) -> np.ndarray:
    """Return [G·G, 1 + classes + 4]: of each cell if it has an object, its class, x and y in the cell, w and h."""
    truth = np.zeros((grid.side**2, 1 + grid.classes + 4))
    for (x0, y0, x1, y1), label in zip(boxes / size, labels, strict=True):
        x, y = (x0 + x1) / 2 * grid.side, (y0 + y1) / 2 * grid.side
        cell = truth[int(y) * grid.side + int(x)]
        if not cell[0]:
            cell[0], cell[int(label)] = 1, 1
            cell[-4:] = x - int(x), y - int(y), x1 - x0, y1 - y0
    return truth


def detection_layer(output: np.ndarray, truth: np.ndarray, grid: Grid, coord: float, no_object: float) -> tuple:
    """Return the delta of one image's outputs, and its loss as Redmon et al. 2016 print it (equation 3).

    With sqrt, rescore and no softmax, as yolov1's configuration has it.
    """
    cells, delta, loss = grid.side**2, np.zeros_like(output), 0.0
    for i in range(cells):
        first = cells * grid.classes + i * grid.boxes
        confidences = slice(first, first + grid.boxes)
        delta[confidences] = no_object * (0 - output[confidences])
        loss += no_object * (output[confidences] ** 2).sum()
        if not truth[i, 0]:
            continue
        classes = slice(i * grid.classes, (i + 1) * grid.classes)
        delta[classes] = truth[i, 1:-4] - output[classes]
        loss += (delta[classes] ** 2).sum()
        start = cells * (grid.classes + grid.boxes) + i * grid.boxes * 4
        boxes = output[start : start + 4 * grid.boxes].reshape(grid.boxes, 4)
        true = truth[i, -4:] / [grid.side, grid.side, 1, 1]
        best, overlap = _responsible(boxes, true, grid.side)
        loss += (overlap - output[first + best]) ** 2 - no_object * output[first + best] ** 2
        delta[first + best] = overlap - output[first + best]
        error = truth[i, -4:] ** [1, 1, 0.5, 0.5] - boxes[best]
        delta[start + 4 * best : start + 4 * best + 4] = coord * error
        loss += coord * (error**2).sum()
    return delta, loss


def _responsible(boxes: np.ndarray, true: np.ndarray, side: int) -> tuple[int, float]:
    """Return the box of highest IoU, or where all miss the object the one of least root mean square error."""
    best, best_overlap, best_error = -1, 0.0, 20.0
    for j, (x, y, root_w, root_h) in enumerate(boxes):
        box = np.array([x / side, y / side, root_w**2, root_h**2])
        overlap, error = _iou(box, true), np.sqrt(((box - true) ** 2).sum())
        if best_overlap > 0 or overlap > 0:
            if overlap > best_overlap:
                best, best_overlap = j, overlap
        elif error < best_error:
            best, best_error = j, error
    return best, best_overlap


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    sides = [
        min(a[i] + a[i + 2] / 2, b[i] + b[i + 2] / 2) - max(a[i] - a[i + 2] / 2, b[i] - b[i + 2] / 2) for i in (0, 1)
    ]
    shared = sides[0] * sides[1] if min(sides) > 0 else 0.0
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def _windows(x: np.ndarray, pad: int) -> np.ndarray:
    """Return the 3×3 neighbourhood of each place: [B, H, W, C, 3, 3]."""
    return sliding_window_view(np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0))), (3, 3), (1, 2))


def _quarters(y: np.ndarray) -> np.ndarray:
    return y.reshape(len(y), y.shape[1] // 2, 2, y.shape[2] // 2, 2, -1)
