"""Pretext experiments as commands: data of other kinds, refusals in one line, a user's own images."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import launch


def command(name: str, workdir: Path, *flags: str) -> int:
    return launch.main(["launch.py", f"--experiment=ssl/{name}", f"--workdir={workdir}", *flags])


def test_colors_cannot_be_learned_from_grey_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert command("colorization", tmp_path, "--preset=smoke", "--data=digits:count=16") == 2
    assert "--data=digits:count=16: the images are grey" in capsys.readouterr().err


def test_a_crop_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert command("rotation", tmp_path, "--preset=smoke", "--crop.shorter=8,18") == 2
    assert "--crop.shorter is (8, 18): give two numbers from --image_size=16 up" in capsys.readouterr().err


def test_photographs_are_learned_from_and_filled(tmp_path: Path):
    """Larger images of a folder, in classes; then files that the network has not seen."""
    rng = np.random.default_rng(0)
    for i in range(12):
        (tmp_path / "data" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (40, 50, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "data" / "ab"[i % 2] / f"{i}.png")
    run = tmp_path / "run"
    assert command("context_encoder", run, "--preset=smoke", f"--data=folder:{tmp_path / 'data'}") == 0
    assert command("context_encoder", run, "--mode=predict", f"--input={tmp_path / 'data' / 'a'}") == 0
    found = json.loads(next(run.rglob("predictions.json")).read_text())
    assert len(found) == 6 and {"file", "l1", "l2", "l2_mean", "psnr"} <= set(found[0])
