"""A run's network is used with the run's own classes and pixels, whatever --data says."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import launch
from jaxvision.ops.dispatch import plain_forms
from jaxvision.run.trained import for_use, other_data

COLOURS = {"blue": (20, 20, 220), "green": (20, 200, 20), "red": (220, 20, 20)}


@dataclasses.dataclass(frozen=True)
class Config:
    data: str = "voc:new"
    val_split: str = "val[:100]"


def folder(root: Path, names: dict[str, str]) -> Path:
    """Write six images of one colour for each class: `names` from folder name to colour."""
    rng = np.random.default_rng(0)
    for name, colour in names.items():
        (root / name).mkdir(parents=True)
        for index in range(6):
            pixels = np.clip(rng.normal(COLOURS[colour], 9.0, (16, 16, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index}.png")
    return root


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on three colours, whose images are gone."""
    root = tmp_path_factory.mktemp("trained")
    folder(root / "colours", {name: name for name in COLOURS})
    command = ["--smoke", f"--data=folder:{root / 'colours'}", "--steps=30", "--eval_every=30", "--batch_size=8"]
    with plain_forms():
        run = [f"--workdir={root / 'run'}", "--experiment=classification/alexnet", *command, "--optimizer.lr=0.02"]
        assert launch.main(["launch.py", *run]) == 0
    shutil.rmtree(root / "colours")
    return root / "run"


def use(*arguments: str) -> int:
    with plain_forms():
        return launch.main(["launch.py", *arguments])


@pytest.mark.long
def test_predicting_needs_no_training_data(trained: Path, tmp_path: Path):
    folder(tmp_path / "images", {"x": "green"})
    assert use(f"--workdir={trained}", "--mode=predict", f"--input={tmp_path / 'images'}") == 0
    rows = json.loads((trained / "predictions.json").read_text())
    assert len(rows) == 6 and set(rows[0]["probabilities"]) == set(COLOURS)


def test_classes_are_matched_by_name_and_all_images_are_evaluated(trained: Path, tmp_path: Path):
    data = folder(tmp_path / "part", {"red": "red", "green": "green"})
    assert use(f"--workdir={trained}", "--mode=evaluate", f"--data=folder:{data}") == 0
    both = json.loads((trained / "evaluation.json").read_text())
    assert both["evaluated"]["images"] == 12
    swapped = folder(tmp_path / "swapped", {"red": "green", "green": "red"})
    assert use(f"--workdir={trained}", "--mode=evaluate", f"--data=folder:{swapped}") == 0
    wrong = json.loads((trained / "evaluation.json").read_text())
    assert wrong["val/accuracy"] != both["val/accuracy"]


def test_classes_that_were_not_learned_are_refused(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    data = folder(tmp_path / "other", {"a_red": "red", "b_green": "green"})
    assert use(f"--workdir={trained}", "--mode=evaluate", f"--data=folder:{data}") == 2
    error = capsys.readouterr().err
    assert "has classes that this run did not learn: a_red, b_green; it learned blue, green, red" in error


def test_other_data_is_known_by_its_spec():
    saved = {"config": {"data": "voc:old", "val_split": "val[:100]"}, "learned": {"class_names": ["a"]}}
    lines: list[str] = []
    assert other_data(Config(), saved) and not other_data(Config("voc:old"), saved)
    assert for_use(Config(), "evaluate", saved, lines.append) == Config(val_split="val")
    assert for_use(Config("voc:old"), "evaluate", saved, lines.append) == Config("voc:old")
    assert for_use(Config(val_split="test[:5]"), "evaluate", saved, lines.append) == Config(val_split="test[:5]")
    assert for_use(Config(), "predict", saved, lines.append) == Config("none")
    assert for_use(Config(), "train", saved, lines.append) == Config() and not lines


def test_a_run_made_before_classes_were_kept_is_used_with_a_warning():
    lines: list[str] = []
    assert for_use(Config(), "predict", {"config": {"data": "voc:new"}}, lines.append) == Config()
    assert "made before runs kept their classes" in lines[0]
