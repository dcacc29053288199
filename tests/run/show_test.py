"""--mode=show draws the training data of every area and counts it, without compiling or downloading anything."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import launch
from jaxvision.data import crops
from jaxvision.data.inputs import Inputs
from jaxvision.data.records import Source
from jaxvision.data.source_log import SourceLog
from jaxvision.run import report, show
from jaxvision.train import devices
from jaxvision.train.types import Experiment, Stage, Task
from tests.viz.tags import Tags


def shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *argv: str) -> set[str]:
    """Run the mode and return the texts of its page; its pictures are there and hold more than one colour."""
    for name in ("initial", "compile_step", "compile_predict"):
        monkeypatch.setattr(devices, name, lambda *args: pytest.fail("something was compiled"))
    workdir = tmp_path / "run"
    assert launch.main(["launch.py", "--mode=show", "--smoke", f"--workdir={workdir}", *argv]) == 0
    pictures = list(workdir.glob("show-*.png"))
    assert pictures
    for path in pictures:
        with Image.open(path) as image:
            assert np.asarray(image).std() > 5
    return set(Tags((workdir / "show.html").read_text()).words)


@pytest.mark.parametrize("name", ["classification/resnet", "gan/dcgan", "ssl/simclr"])
def test_labels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str):
    for label, count in (("cat", 6), ("dog", 3)):
        for i in range(count):
            path = tmp_path / "pets" / "train" / label / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.random.default_rng(i).integers(0, 256, (40, 50, 3), np.uint8)).save(path)
            (tmp_path / "pets" / "val" / label).mkdir(parents=True, exist_ok=True)
            Image.open(path).save(tmp_path / "pets" / "val" / label / f"{i}.png")
    words = shown(monkeypatch, tmp_path, f"--experiment={name}", f"--data=folder:{tmp_path}/pets", "--batch_size=4")
    assert {"cat", "dog", "6", "3", "50×40"} <= words


@pytest.mark.parametrize("name", ["detection/faster_rcnn", "detection/fast_rcnn", "detection/mask_rcnn"])
def test_objects(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str):
    words = shown(monkeypatch, tmp_path, f"--experiment={name}", "--data=scenes:count=8,size=64,classes=1")
    assert {"digit", "64×64", "without objects", "objects, train"} <= words
    assert any("as they are annotated" in word for word in words) == (name == "detection/fast_rcnn")


def test_label_maps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    words = shown(monkeypatch, tmp_path, "--experiment=segmentation/unet")
    assert {"background", "pixels, train"} <= words


def test_no_data_is_said_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    argv = ["launch.py", "--mode=show", "--smoke", f"--workdir={tmp_path}", "--data=none"]
    assert launch.main([*argv, "--experiment=classification/resnet"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_run_keeps_the_same_for_its_report(tmp_path: Path):
    inputs = Inputs(log=SourceLog())
    source, log = inputs.source("digits:count=16", "labels"), inputs.log
    assert log is not None
    data = inputs.train(source["train"], crops.center_crop(8, 8), 8)
    experiment = Experiment((Stage("train", Task(*[lambda *args: None] * 3), data, 1),))
    said: list[str] = []
    show.keep(experiment, tmp_path, SimpleNamespace(data="digits:count=16"), inputs, log, said.append)
    assert said == []
    (tmp_path / "metrics.jsonl").write_text('{"stage": "train", "step": 1, "time": 0.0, "val/accuracy": 0.5}\n')
    text = report.write(tmp_path).read_text()
    assert {"Training data", "digits:count=16", "images, train", "train, batch 1: 8 images on 8×8 pixels"} <= set(
        Tags(text).words
    )
    assert text.count("<img") >= 1 and (tmp_path / "images" / "data-train-1.png").exists()


def test_an_error_costs_no_run(tmp_path: Path):
    log, said = SourceLog(), []  # type: ignore[var-annotated]
    log.add("broken", Source({}, ("a",)))
    show.keep(Experiment(()), tmp_path, SimpleNamespace(data="broken"), Inputs(), log, said.append)
    (line,) = said
    assert line.startswith("the report has no overview of the data: ") and not (tmp_path / "data.json").exists()
