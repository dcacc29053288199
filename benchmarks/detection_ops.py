"""The operations of two-stage detection, ours and torchvision's, in one process: calls of a few milliseconds.

Alternating the two keeps a slow spell of the machine from deciding a ratio. Compilation and first calls are not timed.
The backward row is the gradient in the features alone, given the output's.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import random_boxes
import record
import torch
import torchvision

from jaxvision.ops.nms import nms
from jaxvision.ops.roi import multilevel_roi_align, roi_align
from jaxvision.ops.roi_pooling import roi_pool


class Settings(NamedTuple):
    """Of the rows."""

    rois: int  # an image
    channels: int  # of the feature maps
    rounds: int
    threads: int  # torch's


class Row(NamedTuple):
    """One line of the table: two calls that do the same work, ready to be timed."""

    name: str
    ours: Callable[[], Any]  # returns arrays, or the tree of them, to wait for
    theirs: Callable[[], Any]


def measure(group: str, settings: Settings) -> Iterator[tuple[str, float, float]]:
    """Each row of the group: its name, our seconds and torchvision's, medians of alternating rounds."""
    torch.set_num_threads(settings.threads)
    for row in _GROUPS[group](settings):
        for call in (row.ours, row.theirs) * 2:
            _seconds(call)
        rounds = [(_seconds(row.ours), _seconds(row.theirs)) for _ in range(settings.rounds)]
        ours, theirs = zip(*rounds, strict=True)
        record.leave(row.name, "operation", {record.OURS: ours, "torchvision": theirs})
        yield row.name, statistics.median(ours), statistics.median(theirs)


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - start


def _roi_align_rows(settings: Settings) -> Iterator[Row]:
    """RoIAlign and RoIPool on the 50×68 map of an 800×1088 image, 7×7 bins."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(1, 50, 68, settings.channels)).astype(np.float32)
    boxes = random_boxes.log_uniform(rng, settings.rois, 800, 1088)
    torch_boxes = [torch.tensor(boxes)]
    yield from _with_gradient(
        "RoIAlign",
        [features],
        lambda maps: roi_align(maps[0], jnp.array(boxes)[None], (7, 7), spatial_scale=1 / 16),
        lambda maps: torchvision.ops.roi_align(maps[0], torch_boxes, 7, 1 / 16, 2, True),
    )
    yield from _with_gradient(
        "RoIPool",
        [features],
        lambda maps: roi_pool(maps[0], jnp.array(boxes)[None], (7, 7), spatial_scale=1 / 16),
        lambda maps: torchvision.ops.roi_pool(maps[0], torch_boxes, 7, 1 / 16),
    )


def _pyramid_rows(settings: Settings) -> Iterator[Row]:
    """RoIAlign over levels 2 to 5 of an 800×1344 image."""
    rng = np.random.default_rng(0)
    shapes = [(800 // stride, 1344 // stride) for stride in (4, 8, 16, 32)]
    maps = [rng.normal(size=(1, *shape, settings.channels)).astype(np.float32) for shape in shapes]
    boxes = random_boxes.log_uniform(rng, settings.rois, 800, 1344)
    torch_boxes = [torch.tensor(boxes)]
    pooler = torchvision.ops.MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2)
    scales = [1 / 4, 1 / 8, 1 / 16, 1 / 32]
    yield from _with_gradient(
        "RoIAlign of a pyramid",
        maps,
        lambda m: multilevel_roi_align(m, jnp.array(boxes)[None], (7, 7), spatial_scales=scales, aligned=False),
        lambda m: pooler({str(i): level for i, level in enumerate(m)}, torch_boxes, [(800, 1344)]),
    )


def _with_gradient(
    name: str, maps: list[np.ndarray], ours: Callable[[Any], Any], theirs: Callable[[Any], Any]
) -> Iterator[Row]:
    """The rows of a function of feature maps: its value, and its gradient alone, as both keep what the value needed."""
    arrays = [jnp.array(m) for m in maps]
    tensors = [torch.tensor(m).permute(0, 3, 1, 2).contiguous() for m in maps]
    leaves = [t.clone().requires_grad_() for t in tensors]
    forward = jax.jit(ours)
    yield Row(f"{name}, forward", lambda: forward(arrays), lambda: theirs(tensors))
    value, pull = jax.jit(lambda m: jax.vjp(ours, m))(arrays)
    output = theirs(leaves)
    weight = np.random.default_rng(1).normal(size=value.shape).astype(np.float32)
    gradient, torch_gradient = jnp.array(weight), torch.tensor(weight[0]).permute(0, 3, 1, 2).contiguous()
    backward = jax.jit(lambda pull, gradient: pull(gradient))
    yield Row(
        f"{name}, backward",
        lambda: backward(pull, gradient),
        lambda: torch.autograd.grad(output, leaves, torch_gradient, retain_graph=True),
    )


def _nms_rows(_: Settings) -> Iterator[Row]:
    """Suppression at IoU 0.7 of boxes in clusters of about ten, as a proposal network gives them."""
    for count in (1000, 2000, 4000):
        rng = np.random.default_rng(count)
        centers = random_boxes.log_uniform(rng, count // 10, 800, 1088)[rng.integers(0, count // 10, count)]
        boxes = (centers + rng.normal(scale=8, size=(count, 4))).astype(np.float32)
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
        scores = rng.uniform(size=count).astype(np.float32)
        ours = jax.jit(lambda b, s, n=count: nms(b, s, iou_threshold=0.7, max_outputs=n))
        arrays, tensors = (jnp.array(boxes), jnp.array(scores)), (torch.tensor(boxes), torch.tensor(scores))
        yield Row(
            f"NMS, {count} boxes",
            lambda ours=ours, arrays=arrays: ours(*arrays),
            lambda tensors=tensors: torchvision.ops.nms(*tensors, 0.7),
        )


_GROUPS: dict[str, Callable[[Settings], Iterator[Row]]] = {
    "roi": _roi_align_rows,
    "pyramid": _pyramid_rows,
    "nms": _nms_rows,
}
