"""predictions.json and the files beside it."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from jaxvision.data.decode import decode
from jaxvision.run.prediction import predict
from jaxvision.run.request import Flags, Request
from jaxvision.train import devices, loop
from jaxvision.train.restore import Run
from jaxvision.train.types import Experiment, Presentation
from jaxvision.train.writer import Writer
from tests.train import toy


def test_predictions_are_of_the_images_that_a_batch_names(tmp_path: Path, capsys: pytest.CaptureFixture):
    (tmp_path / "photos" / "other").mkdir(parents=True)
    for name in ("a-1", "a", "b", "other/a"):
        Image.new("RGB", (4, 4)).save(tmp_path / "photos" / f"{name}.png")
    (tmp_path / "photos" / "other" / "notes.txt").touch()
    batches = [
        {"x": np.full((2, 3), 9.0, np.float32), "image_id": np.array([3, 1]), "_mask": np.array([True, True])},
        {"x": np.zeros((2, 3), np.float32), "image_id": np.array([2, 2]), "_mask": np.array([False, False])},
        {"x": np.zeros((2, 3), np.float32), "image_id": np.array([2, 0]), "_mask": np.array([True, True])},
    ]
    shown = Presentation(
        lambda files: lambda shard, shards: (batch for batch in batches),
        lambda outputs, batch, row: {"id": int(batch["image_id"][row]), "far": bool(abs(outputs["y"][row]) > 0)},
        lambda outputs, batch: np.zeros((batch["_mask"].any() + 1, 2, 3), np.uint8),
        lambda said: {"images": said},
        lambda outputs, batch, row: np.full((2, 2, 3), batch["image_id"][row], np.uint8),
    )
    experiment = Experiment.single(toy.regression(), toy.Numbers, 1, presentation=shown)
    where = devices.choose("jit", jax.devices()[:1])
    run = Run(tmp_path / "run", jax.random.PRNGKey(0), where, Writer(tmp_path / "run"))
    loop.train(experiment, run)
    predict(experiment, run, Request("area/name", None, Flags(input=str(tmp_path / "photos")), "again"))
    said = json.loads((tmp_path / "run" / "predictions.json").read_text())["images"]
    found = [(Path(one["file"]).relative_to(tmp_path / "photos"), one["id"], one["far"]) for one in said]
    assert [(str(file), *rest) for file, *rest in found] == [
        ("other/a.png", 3, True),
        ("a.png", 1, True),
        ("b.png", 2, False),
        ("a-1.png", 0, False),
    ]
    assert all(len(decode(tmp_path / "run" / f"predictions-00{i}.png")) == 2 for i in range(2))  # no empty one
    maps = {path.name: int(decode(path).max()) for path in (tmp_path / "run" / "label_maps").iterdir()}
    assert maps == {"a-1.png": 0, "a-2.png": 1, "a-3.png": 3, "b.png": 2}  # none in the place of another
    shown = (tmp_path / "run" / "predictions.html").read_text()
    assert "1 files are no images by their names and are left out: " in capsys.readouterr().err
    assert "again" in shown and "predictions-001.png" in shown and "predictions-002.png" not in shown
