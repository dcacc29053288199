"""The script that makes docs/pictures, and its table."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

FOLDER = Path(__file__).parent.parent / "docs" / "pictures"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pictures_make", FOLDER / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def workdir(folder: Path, command: str, finished: bool = True) -> Path:
    """A run's workdir, as far as the script reads it."""
    run = folder / "run"
    (run / "images").mkdir(parents=True)
    (run / "checkpoints" / "train").mkdir(parents=True)
    if finished:
        (run / "checkpoints" / "train" / "finished").touch()
    about = {"experiment": "classification/resnet", "config": {}, "command": command}
    (run / "config.json").write_text(json.dumps(about))
    row = {"stage": "train", "step": 400, "time": 1.0, "val/accuracy": 0.98765}
    (run / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    for step, color in ((200, (9, 9, 9)), (400, (200, 10, 10))):
        Image.new("RGB", (1800, 40), color).save(run / "images" / f"predictions-{step:06d}.png")
    return run


def test_every_picture_of_the_page_is_made_from_the_command_that_it_names(script: ModuleType):
    rows = [line for line in (FOLDER / "README.md").read_text().splitlines() if line.startswith("| ![")]
    by_name = {picture.name: picture for picture in script.PICTURES}
    shown = {line.partition("](")[2].partition(".png)")[0]: line for line in rows}
    assert {path.stem for path in FOLDER.glob("*.png")} == shown.keys()
    for name in shown.keys() - {"report", "gallery"}:  # screenshots
        assert f"`python launch.py --experiment={by_name[name].command}`" in shown[name]
        assert f"`{by_name[name].drawn}-" in shown[name]
    assert len({line.count("|") for line in rows}) == 1


def test_a_picture_and_its_figure_are_of_one_run(script: ModuleType, tmp_path: Path):
    (tmp_path / "README.md").write_text("| ![old](gan.png) | x | y | z |\n")
    run = workdir(tmp_path, "python launch.py --experiment=classification/resnet --workdir=runs/x --preset=quick")
    said = script.make(run, tmp_path)
    assert said.startswith("classification.png: predictions-000400.png of") and said.endswith("val/accuracy 0.9877")
    picture = Image.open(tmp_path / "classification.png").convert("RGB")
    assert picture.size == (900, 20) and picture.getpixel((3, 3)) == (200, 10, 10)
    script.make(run, tmp_path)
    lines = (tmp_path / "README.md").read_text().splitlines()
    assert len(lines) == 2 and lines[1].endswith("`predictions-000400.png` | val/accuracy 0.9877 |")


def test_the_lower_part_of_a_picture(script: ModuleType, tmp_path: Path):
    image = Image.new("RGB", (8, 8), (0, 0, 0))
    image.paste((0, 0, 250), (0, 4, 8, 8))
    script.save(image, script.Picture("x", "x", "x", "x", share=-0.5), tmp_path / "x.png")
    assert Image.open(tmp_path / "x.png").convert("RGB").getcolors() == [(32, (0, 0, 250))]


def test_other_and_unfinished_runs_are_refused(script: ModuleType, tmp_path: Path):
    with pytest.raises(ValueError, match="no picture is of this command"):
        script.make(workdir(tmp_path / "a", "python launch.py --experiment=classification/resnet --depth=34"), tmp_path)
    run = workdir(tmp_path / "b", "python launch.py --experiment=classification/resnet", finished=False)
    with pytest.raises(ValueError, match="stopped at step 400 of train; let the run finish"):
        script.make(run, tmp_path)
