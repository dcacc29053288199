"""Seconds and memory that big sets take before the first image: listings, annotations, and the COCO evaluator.

    python benchmarks/data_loading.py [--files=65000] [--annotations=100000] [--million] [--evaluated=50000]

Class folders are listed by ours and by torchvision's ImageFolder, COCO's JSON is read by ours and by pycocotools; one
that is not installed has no row. Every measurement has a process of its own, whose CPU seconds and peak memory are
printed; files and annotations are made in a temporary folder and hold nothing but what a listing needs.
"""

import io
import json
import multiprocessing
import pathlib
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import util

import numpy as np
from absl import app, flags
from PIL import Image

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

_FILES = flags.DEFINE_integer("files", 65_000, "files in class folders")
_CLASSES = flags.DEFINE_integer("classes", 1000, "class folders")
_ANNOTATIONS = flags.DEFINE_integer("annotations", 100_000, "annotations with polygons of 16 points")
_MILLION = flags.DEFINE_bool("million", False, "also read ten times as many annotations, for the memory")
_EVALUATED = flags.DEFINE_integer("evaluated", 50_000, "images whose detections are evaluated; 0: none")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "rounds; the median counts")


def main(argv: list[str]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        root = pathlib.Path(temporary)
        _write_folders(root / "folders")
        _write_coco(root / "coco", _ANNOTATIONS.value)
        rows: list[tuple[str, str, Callable[..., None], tuple[str, ...]]] = [
            ("class folders", "jaxvision", list_folders, (str(root / "folders"),)),
            ("class folders", "torchvision", list_with_torchvision, (str(root / "folders"),)),
            ("COCO's JSON", "jaxvision", read_coco, (str(root / "coco"),)),
            ("COCO's JSON", "pycocotools", read_with_pycocotools, (str(root / "coco"),)),
        ]
        for what, side, call, arguments in rows:
            if side == "jaxvision" or util.find_spec(side):
                _report(what, side, [_measured(call, arguments) for _ in range(_ROUNDS.value)])
        if _MILLION.value:
            _write_coco(root / "million", 10 * _ANNOTATIONS.value)
            _report("ten times the annotations", "jaxvision", [_measured(read_coco, (str(root / "million"),))])
    if _EVALUATED.value:
        _report("COCO's AP", "jaxvision", [_measured(evaluate, (str(_EVALUATED.value),))])


def list_folders(folder: str) -> None:
    """List class folders with ours."""
    from jaxvision.data import sources

    assert len(sources.load(f"folder:{folder}", "labels").splits["all"]) > 0


def list_with_torchvision(folder: str) -> None:
    """List class folders with torchvision's."""
    from torchvision.datasets import ImageFolder

    assert len(ImageFolder(folder)) > 0


def read_coco(folder: str) -> None:
    """Read COCO's JSON with ours."""
    from jaxvision.data import sources

    assert len(sources.load(f"coco:{folder}", "masks").splits["all"]) > 0


def read_with_pycocotools(folder: str) -> None:
    """Read COCO's JSON with pycocotools."""
    from pycocotools.coco import COCO

    assert COCO(f"{folder}/annotations/instances_all.json").imgs


def evaluate(count: str) -> None:
    """Evaluate ten detections an image against five objects."""
    from jaxvision.evals.coco_ap import coco_ap

    metric, rng = coco_ap([str(label) for label in range(81)]), np.random.default_rng(0)
    state, rows = metric.init(), 50
    for first in range(0, int(count), rows):
        corners = rng.uniform(0, 300, (rows, 10, 2))
        boxes = np.concatenate([corners, corners + rng.uniform(10, 200, (rows, 10, 2))], axis=-1).astype(np.float32)
        labels, valid = rng.integers(1, 81, (rows, 10)), np.ones((rows, 10), bool)
        truth = {"boxes": boxes[:, :5], "labels": labels[:, :5], "valid": valid[:, :5], "ignore": ~valid[:, :5]}
        batch = {
            **truth,
            "image_id": np.arange(first, first + rows),
            "size": np.full((rows, 2), 500.0, np.float32),
            "scale": np.ones((rows, 2), np.float32),
            "_mask": np.ones(rows, bool),
        }
        outputs = {"boxes": boxes, "labels": labels, "valid": valid, "scores": rng.random((rows, 10), np.float32)}
        state = metric.update(state, outputs, batch)
    metric.result(state)


def _measured(call: Callable[..., None], arguments: tuple[str, ...]) -> tuple[float, float]:
    """Return the CPU seconds of a call in a new process, and the process's peak memory in MiB."""
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    process = context.Process(target=_timed, args=(call, arguments, queue))
    process.start()
    process.join()
    if process.exitcode:
        sys.exit(f"{call.__name__} failed with exit code {process.exitcode}")
    return queue.get()


def _timed(call: Callable[..., None], arguments: tuple[str, ...], queue: "multiprocessing.SimpleQueue") -> None:
    _import_for(call.__name__)
    began = time.process_time()
    call(*arguments)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    queue.put((time.process_time() - began, peak))


def _import_for(name: str) -> None:
    """Import what a call needs, so that its seconds are those of the data."""
    if name == "list_with_torchvision":
        import torchvision.datasets  # noqa: F401
    elif name == "read_with_pycocotools":
        import pycocotools.coco  # noqa: F401
    elif name == "evaluate":
        import jaxvision.evals.coco_ap  # noqa: F401
    else:
        import jaxvision.data.sources  # noqa: F401


def _report(what: str, side: str, runs: list[tuple[float, float]]) -> None:
    seconds, peak = sorted(run[0] for run in runs), max(run[1] for run in runs)
    spread = f"{seconds[0]:.2f} to {seconds[-1]:.2f}"
    print(f"{what}: {side} {seconds[len(seconds) // 2]:.2f} s ({spread}), peak {peak:.0f} MiB", flush=True)


def _write_folders(root: pathlib.Path) -> None:
    each, file = _FILES.value // _CLASSES.value, io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG")
    for label in range(_CLASSES.value):
        folder = root / f"class{label:04}"
        folder.mkdir(parents=True)
        for index in range(each):
            (folder / f"image{index:05}.jpg").write_bytes(file.getvalue())


def _write_coco(root: pathlib.Path, count: int) -> None:
    """Write images of which each has seven objects, as COCO has on average."""
    rng = np.random.default_rng(0)
    (root / "annotations").mkdir(parents=True)
    (root / "images").mkdir()
    images = [
        {"id": i + 1, "file_name": f"{i:012}.png", "width": 640, "height": 480, "license": 1, "date_captured": "2013"}
        for i in range(-(-count // 7))
    ]
    content = io.BytesIO()
    Image.new("1", (640, 480)).save(content, "PNG")  # one image is decoded, to see that any can be
    for image in images:
        (root / "images" / str(image["file_name"])).write_bytes(content.getvalue())
    with open(root / "annotations" / "instances_all.json", "w") as file:
        categories = [{"id": i, "name": f"class {i}", "supercategory": "thing"} for i in range(1, 81)]
        file.write(f'{{"info": {{}}, "images": {json.dumps(images)}, "categories": {json.dumps(categories)}, ')
        file.write('"annotations": [')
        for i in range(count):
            points = rng.uniform(5, 470, 32).round(2)
            x, y = points[::2], points[1::2]
            box = [float(v) for v in (x.min(), y.min(), np.ptp(x).round(2), np.ptp(y).round(2))]
            one = {
                "id": i + 1,
                "image_id": i // 7 + 1,
                "category_id": int(rng.integers(1, 81)),
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": 0,
                "segmentation": [points.tolist()],
            }
            file.write(("," if i else "") + json.dumps(one))
        file.write("]}")


if __name__ == "__main__":
    app.run(main)
