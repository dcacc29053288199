"""predictions.json and the files beside it."""

import json
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from jaxvision.data import video
from jaxvision.data.decode import decode
from jaxvision.run.prediction import input_files, predict
from jaxvision.run.request import Flags, Request
from jaxvision.train import devices, loop
from jaxvision.train.restore import Run
from jaxvision.train.types import Batch, Experiment, Presentation, PyTree, Shown
from jaxvision.train.writer import Writer
from tests.train import toy


def brighter(image: np.ndarray, outputs: PyTree, batch: Batch, row: int, shown: Shown) -> np.ndarray:
    assert shown == Shown(0.25, 7)
    return image + np.uint8(10 * batch["image_id"][row] + 1)


@pytest.mark.parametrize("overlay", [None, brighter])
def test_predictions_are_of_the_images_that_a_batch_names(
    tmp_path: Path, capsys: pytest.CaptureFixture, overlay: Callable | None
):
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
        overlay,
    )
    experiment = Experiment.single(toy.regression(), toy.Numbers, 1, presentation=shown)
    where = devices.choose("jit", jax.devices()[:1])
    run = Run(tmp_path / "run", jax.random.PRNGKey(0), where, Writer(tmp_path / "run"))
    loop.train(experiment, run)
    predict(
        experiment,
        run,
        Request("area/name", None, Flags(input=str(tmp_path / "photos"), min_score=0.25, max_shown=7), "again"),
    )
    said = json.loads((tmp_path / "run" / "predictions.json").read_text())["images"]
    found = [(Path(one["file"]).relative_to(tmp_path / "photos"), one["id"], one["far"]) for one in said]
    assert [(str(file), *rest) for file, *rest in found] == [
        ("other/a.png", 3, True),
        ("a.png", 1, True),
        ("b.png", 2, False),
        ("a-1.png", 0, False),
    ]
    maps = {path.name: int(decode(path).max()) for path in (tmp_path / "run" / "label_maps").iterdir()}
    assert maps == {"a-1.png": 0, "a-2.png": 1, "a-3.png": 3, "b.png": 2}  # none in the place of another
    assert "1 files are no images by their names and are left out: " in capsys.readouterr().err
    page = (tmp_path / "run" / "predictions.html").read_text()
    assert "again" in page and all(f"photos/{name}.png" in page for name in ("a", "b", "other/a"))
    if overlay is None:
        assert all(len(decode(tmp_path / "run" / f"predictions-00{i}.png")) == 2 for i in range(2))  # no empty one
        assert "predictions-001.png" in page and "predictions-002.png" not in page
        return
    drawn = {path.name: decode(path) for path in (tmp_path / "run" / "predictions").glob("*.png")}
    assert {name: int(pixels.max()) for name, pixels in drawn.items()} == {
        **{"a-1.png": 1, "a-2.png": 11, "b.png": 21, "a-3.png": 31}
    }
    assert all(pixels.shape == (4, 4, 3) for pixels in drawn.values()) and not list((tmp_path / "run").glob("*-0*.png"))
    assert len(list((tmp_path / "run" / "predictions" / "small").iterdir())) == 4


def test_a_video_becomes_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked = []
    monkeypatch.setattr(video, "extract", lambda *given: asked.append(given) or [str(tmp_path / "frames" / "a-0.jpg")])
    (tmp_path / "a.mp4").touch()
    records = input_files(f"{tmp_path}/a.mp4,every=5", tmp_path, pytest.fail)
    assert records.files == (str(tmp_path / "frames" / "a-0.jpg"),)
    assert asked == [(str(tmp_path / "a.mp4"), tmp_path / "frames", 5)]
    with pytest.raises(ValueError, match="every=N takes one frame in N"):
        input_files(f"{tmp_path}/a.mp4,every=0", tmp_path, pytest.fail)
    with pytest.raises(ValueError, match="no image files there"):
        input_files(f"{tmp_path}/gone.mp4", tmp_path, pytest.fail)
