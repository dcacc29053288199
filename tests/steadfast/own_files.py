"""The files of a run, as specimens for the fuzzer: what we wrote may be damaged, too."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxvision.data import proposals
from jaxvision.data.feature_store import FeatureStore
from jaxvision.run import gallery, saved_run
from tests.steadfast.specimens import SPECIMENS, Specimen, picture, put


def _run(root: Path) -> list[Path]:
    """A workdir of a finished run, as the gallery reads it."""
    workdir = root / "run"
    learned = {"data": "digits", "class_names": ["a", "b"], "mean": [1.0, 2.0, 3.0], "std": [1.0, 2.0, 3.0]}
    about = {"format": 1, "experiment": "classification/resnet", "seed": 0, "learned": learned, "command": "python"}
    rows = [
        {"stage": "train", "step": 2, "time": 1e9, "train/loss": 2.5, "time/steps_per_second": 3.0},
        {"stage": "train", "step": 4, "time": 1e9, "val/accuracy": 0.5, "files": {"shown": "images/shown-000004.png"}},
        {"stage": "train", "step": 4, "time": 1e9, "time/train_seconds": 7.0, "files": {"table": "table.md"}},
    ]
    split = {
        "name": "train",
        "images": 5,
        "read": 5,
        "sizes": [[4, 4]] * 3,
        "sizes_of": 5,
        "empty": 0,
        "areas": [1, 0, 0],
    }
    split |= {"origin": "a/", "classes": [3, 2], "unreadable": []}
    counted = {"data": "digits", "unit": "images", "class_names": ["a", "b"], "splits": [split], "left_out": []}
    data = {"sources": [counted | {"left_out_count": 0}], "pictures": [], "findings": {}, "remark": ""}
    put(workdir / "images" / "shown-000004.png", picture(0))
    put(workdir / "table.md", "| a | b |\n|---|---|\n| 1 | 2 |\n")
    put(workdir / "checkpoints" / "train" / "finished", "")
    return [
        put(workdir / "config.json", json.dumps({**about, "config": {"depth": 18, "data": "digits"}})),
        put(workdir / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows)),
        put(workdir / "evaluation.json", json.dumps({"step": 4, "val/accuracy": 0.5, "command": "python"})),
        put(workdir / "data.json", json.dumps(data)),
        workdir / "images" / "shown-000004.png",
        workdir / "table.md",
    ]


def _read_run(folder: Path) -> Iterator[Any]:
    said: list[str] = []
    (folder / "run" / "report.html").unlink(missing_ok=True)
    try:
        gallery.write(folder, said.append)
    except ValueError:
        assert said  # the one run is left out
    yield from map(ValueError, said)
    config = saved_run.read(folder / "run")["config"]
    yield saved_run.completed(config, {"depth": 34, "data": "digits", "new": None})


class _Squares:
    """Two records for proposals."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"image": np.kron(np.eye(3, dtype=np.uint8) * (100 + index), np.ones((8, 8, 3), np.uint8))}

    def name(self, index: int) -> str:
        return f"squares/{index}.png"


def _proposals(root: Path) -> list[Path]:
    proposals.stored(_Squares(), root / "found", max_boxes=5, workers=0)
    return [root / "found" / "settings.json", root / "found" / "00000.npz"]


def _read_proposals(folder: Path) -> Iterator[Any]:
    yield proposals.Stored(folder / "found", 2)[1]
    yield proposals.stored(_Squares(), folder / "found", max_boxes=5, workers=0)[0]


def _features(root: Path) -> list[Path]:
    np.save(root / "fc7-00000.npy", np.ones((5, 4), np.float32))
    return [root / "fc7-00000.npy"]


def _read_features(folder: Path) -> Iterator[Any]:
    yield FeatureStore(folder, {"fc7": 4}, {"fc7": np.array([2, 3])}).read("fc7", 1)


ALL = SPECIMENS | {
    "run": Specimen(_run, _read_run),
    "proposals": Specimen(_proposals, _read_proposals),
    "features": Specimen(_features, _read_features),
}
