"""Two-stage detection on this machine, ours against torchvision: milliseconds, medians of alternating rounds.

    python benchmarks/detection.py [--rows=roi,nms] [--rounds=7]

Alternating the two keeps a slow spell of the machine from deciding a ratio. Compilation and first calls are not timed.
The backward row is the gradient in the features alone, given the output's.
"""

import os
import pathlib
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from jaxvision import xla  # noqa: E402

xla.configure()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from absl import app, flags  # noqa: E402

from jaxvision.data.records import IMAGENET_MEAN, IMAGENET_STD  # noqa: E402
from jaxvision.models.faster_rcnn import resnet_fpn  # noqa: E402
from jaxvision.models.norms import FrozenBatchNorm  # noqa: E402
from jaxvision.ops.nms import nms  # noqa: E402
from jaxvision.ops.roi import multilevel_roi_align, roi_align, roi_pool  # noqa: E402
from jaxvision.tasks.detection import detection  # noqa: E402
from jaxvision.train import devices  # noqa: E402
from jaxvision.train.optim import Optimizer  # noqa: E402

_ROUNDS = flags.DEFINE_integer("rounds", 7, "alternating rounds; the median counts")
_ROIS = flags.DEFINE_integer("rois", 512, "RoIs an image")
_CHANNELS = flags.DEFINE_integer("channels", 256, "channels of the feature maps")


class Row(NamedTuple):
    """One line of the table: two calls that do the same work, ready to be timed."""

    name: str
    ours: Callable[[], Any]  # returns arrays, or the tree of them, to wait for
    theirs: Callable[[], Any]


def main(argv: list[str]) -> None:
    try:
        import torch
        import torchvision
    except ImportError:
        sys.exit("benchmarks/detection.py compares with torchvision: pip install torch torchvision")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    torch.set_num_threads(cores)
    print(f"{platform.machine()} {_processor()}, {cores} cores; jax {jax.__version__} on {jax.default_backend()},")
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}; float32; milliseconds, medians\n")
    print(f"{'':34}{'jaxvision':>10}{'torchvision':>13}{'ratio':>8}")
    for name in _ROWS.value:
        for row in _GROUPS[name]():
            ours, theirs = _compare(row)
            print(f"{row.name:34}{ours * 1e3:10.1f}{theirs * 1e3:13.1f}{theirs / ours:8.2f}", flush=True)


def _compare(row: Row) -> tuple[float, float]:
    for call in (row.ours, row.theirs) * 2:
        _seconds(call)
    rounds = [(_seconds(row.ours), _seconds(row.theirs)) for _ in range(_ROUNDS.value)]
    ours, theirs = zip(*rounds, strict=True)
    return statistics.median(ours), statistics.median(theirs)


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - start


def _processor() -> str:
    path = pathlib.Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def _boxes(rng: np.random.Generator, count: int, height: float, width: float) -> np.ndarray:
    """Boxes of 32 to 512 pixels a side, log-uniform, clipped to the image."""
    center, side = rng.uniform(0, [width, height], (count, 2)), np.exp(rng.uniform(*np.log([32, 512]), (count, 2)))
    limits = np.array([width, height] * 2)
    return np.concatenate([center - side / 2, center + side / 2], axis=1).clip(0, limits).astype(np.float32)


def _roi_align_rows() -> Iterator[Row]:
    """RoIAlign and RoIPool on the 50×68 map of an 800×1088 image, 7×7 bins."""
    import torch
    import torchvision

    rng = np.random.default_rng(0)
    features = rng.normal(size=(1, 50, 68, _CHANNELS.value)).astype(np.float32)
    boxes = _boxes(rng, _ROIS.value, 800, 1088)
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


def _pyramid_rows() -> Iterator[Row]:
    """RoIAlign over levels 2 to 5 of an 800×1344 image."""
    import torch
    import torchvision

    rng = np.random.default_rng(0)
    shapes = [(800 // stride, 1344 // stride) for stride in (4, 8, 16, 32)]
    maps = [rng.normal(size=(1, *shape, _CHANNELS.value)).astype(np.float32) for shape in shapes]
    boxes = _boxes(rng, _ROIS.value, 800, 1344)
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
    import torch

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


def _nms_rows() -> Iterator[Row]:
    """Suppression at IoU 0.7 of boxes in clusters of about ten, as a proposal network gives them."""
    import torch
    import torchvision

    for count in (1000, 2000, 4000):
        rng = np.random.default_rng(count)
        centers = _boxes(rng, count // 10, 800, 1088)[rng.integers(0, count // 10, count)]
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


def _network_rows() -> Iterator[Row]:
    """Faster R-CNN on ResNet-50 with a pyramid, batch norm frozen, one image of 800×1088 pixels with 8 objects.

    Each block starts as its shortcut, which keeps random features, and so the proposals, in an ordinary range.
    """
    import torch
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
    from torchvision.ops import FrozenBatchNorm2d

    rng = np.random.default_rng(0)
    image, boxes = rng.integers(0, 256, (1, 800, 1088, 3), np.uint8), _boxes(rng, 8, 800, 1088)
    labels = rng.integers(1, 91, 8)
    backbone = resnet_fpn_backbone(
        backbone_name="resnet50", weights=None, norm_layer=FrozenBatchNorm2d, trainable_layers=5
    )
    for name, value in backbone.named_buffers():
        if name.endswith("bn3.weight"):
            value.zero_()
    model = FasterRCNN(backbone, 91, min_size=800, max_size=1088)
    pixels = [torch.from_numpy(image[0]).permute(2, 0, 1).float() / 255]
    targets = [{"boxes": torch.tensor(boxes), "labels": torch.tensor(labels)}]
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6, momentum=0.9)

    def their_detections() -> None:
        with torch.no_grad():
            model.eval()(pixels)

    def their_step() -> None:
        optimizer.zero_grad()
        sum(model.train()(pixels, targets).values()).backward()
        optimizer.step()

    detections, step = _our_network(image, boxes, labels)
    yield Row("Faster R-CNN R50-FPN, inference", detections, their_detections)
    yield Row("Faster R-CNN R50-FPN, step", step, their_step)


def _our_network(
    image: np.ndarray, boxes: np.ndarray, labels: np.ndarray
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    batch = {
        "image": jnp.array(image),
        "size": jnp.array([[800.0, 1088.0]]),
        "scale": jnp.ones(1),
        "boxes": jnp.array(boxes)[None],
        "labels": jnp.array(labels, jnp.int32)[None],
        "valid": jnp.ones((1, len(boxes)), bool),
        "ignore": jnp.zeros((1, len(boxes)), bool),
    }
    model = resnet_fpn(91, norm=FrozenBatchNorm)
    task = detection(model, Optimizer(lr=1e-6).make(1), mean=IMAGENET_MEAN, std=IMAGENET_STD)
    where = devices.choose("jit", jax.devices()[:1])
    state = devices.initial(task, jax.random.PRNGKey(0), batch)
    state = state.replace(params=jax.tree_util.tree_map_with_path(_silence, state.params))
    predict, train = jax.jit(task.predict), devices.compile_step(task, where)
    carried = [devices.place(state, where)]

    def step() -> Any:
        carried[0], metrics = train(carried[0], batch)
        return metrics

    return lambda: predict(state, batch), step


def _silence(path: Any, leaf: jax.Array) -> jax.Array:
    """The last scale of a residual branch, 0."""
    names = [str(part.key) for part in path]
    return jnp.zeros_like(leaf) if names[-2:] == ["bn3", "scale"] else leaf


_GROUPS: dict[str, Callable[[], Iterator[Row]]] = {
    "roi": _roi_align_rows,
    "pyramid": _pyramid_rows,
    "nms": _nms_rows,
    "network": _network_rows,
}
_ROWS = flags.DEFINE_list("rows", list(_GROUPS), f"groups of rows to measure, of {', '.join(_GROUPS)}")

if __name__ == "__main__":
    app.run(main)
