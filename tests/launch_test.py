"""The command line: what a user types, and the one line they get for a mistake."""

import json
import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

import launch

ROOT = Path(launch.__file__).parent
EXPERIMENT = "--experiment=classification/resnet"


def error(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    capsys.readouterr()  # what was said before
    assert launch.main(["launch.py", *argv]) == 2
    *described, line = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ") and all(text.startswith("data ") for text in described)
    return line


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (("--experiment=classification/resnett",), "did you mean classification/resnet?"),
        (("--smoke",), "no such experiment"),
        ((EXPERIMENT, "--dept=3"), "depth"),
        ((EXPERIMENT, "--depth=many"), "--depth"),
        ((EXPERIMENT, "depth=3"), "depth=3: not a flag"),
        ((EXPERIMENT, "--preset=fast"), "--preset=fast: should be one of quick, paper, "),
        ((EXPERIMENT, "--parallel=all"), "parallel"),
        ((EXPERIMENT, "--smoke", "--data=folder:/nowhere"), "/nowhere"),
        ((EXPERIMENT, "--smoke", "--data=nonsense"), "nonsense"),
        ((EXPERIMENT, "--smoke", "--optimizer.lr=-1"), "optimizer.lr"),
        ((EXPERIMENT, "--smoke", "--batch_size=6"), "--batch_size=6 does not divide by the 4 devices"),
        ((EXPERIMENT, "--smoke", "--depth=19"), "19"),
        ((EXPERIMENT, "--smoke", "--mode=predict"), "--input"),
        ((EXPERIMENT, "--smoke", "--mode=evaluate"), "no checkpoint"),
        ((EXPERIMENT, "--smoke", "--num_processes=2"), "--coordinator"),
        ((EXPERIMENT, "--smoke", "--mode=evaluate", "--epochs=2"), "--epochs is the length of a training"),
        (("--experiment=detection/rcnn", "--epochs=2"), "--epochs: the steps of this experiment are not passes"),
        ((EXPERIMENT, "--smoke", "--log_every=0"), "--log_every=0: should be 1 or more"),
    ],
)
def test_a_mistake_gets_one_line(capsys: pytest.CaptureFixture[str], argv: tuple[str, ...], expected: str):
    assert expected in error(capsys, *argv)


def test_list_and_help(capsys: pytest.CaptureFixture[str]):
    assert launch.main(["launch.py", "--list"]) == 0
    assert "classification/resnet" in capsys.readouterr().out
    assert launch.main(["launch.py", EXPERIMENT, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "--optimizer.lr" in shown and "--workdir" in shown and "He, Zhang" in shown


def test_no_words_at_all(capsys: pytest.CaptureFixture[str]):
    assert launch.main(["launch.py"]) == 0
    shown = capsys.readouterr().out
    assert "python launch.py --list" in shown and "--experiment=NAME --help" in shown


@pytest.mark.long
def test_epochs_are_passes_over_the_images(tmp_path: Path):
    workdir = f"--workdir={tmp_path / 'run'}"
    assert launch.main(["launch.py", EXPERIMENT, "--smoke", "--epochs=0.5", "--data=digits:count=12", workdir]) == 0
    assert json.loads((tmp_path / "run" / "config.json").read_text())["config"]["steps"] == 1  # 6 of 8 images


def test_train_then_evaluate_then_predict(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    workdir = f"--workdir={tmp_path / 'run'}"
    assert launch.main(["launch.py", EXPERIMENT, "--smoke", workdir]) == 0
    assert "another run: --depth is 20 (saved: 10)" in error(capsys, EXPERIMENT, "--smoke", workdir, "--depth=20")
    assert "--experiment is classification/vgg" in error(capsys, "--experiment=classification/vgg", "--smoke", workdir)
    assert launch.main(["launch.py", workdir, "--mode=evaluate", "--checkpoint=best"]) == 0
    assert 0 <= json.loads((tmp_path / "run" / "evaluation.json").read_text())["val/accuracy"] <= 1
    (tmp_path / "photos").mkdir()
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 256, (20, 30 + i, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{i}.png")
    (tmp_path / "photos" / "broken.png").write_bytes(b"not a picture")
    assert launch.main(["launch.py", workdir, "--mode=predict", f"--input={tmp_path}/photos/*.png"]) == 0
    said = json.loads((tmp_path / "run" / "predictions.json").read_text())
    assert [Path(s["file"]).name for s in said] == ["0.png", "1.png", "2.png"]
    assert all(s["label"] in "0123456789" and len(s["probabilities"]) == 5 for s in said)
    with (
        Image.open(tmp_path / "run" / "predictions" / "1.png") as drawn,
        Image.open(tmp_path / "photos/1.png") as photo,
    ):
        assert np.array_equal(np.asarray(drawn)[:20, :31], np.asarray(photo))
    assert "nothing" in error(capsys, workdir, "--mode=predict", f"--input={tmp_path}/nothing/*.jpg")
    report = re.sub("</?span>", "", (tmp_path / "run" / "report.html").read_text())
    assert (
        f"python launch.py {EXPERIMENT} --smoke {workdir}" in report and "--checkpoint=best --mode=evaluate" in report
    )
    assert 'src="predictions/small/2.jpg"' in (tmp_path / "run" / "predictions.html").read_text()
    assert launch.main(["launch.py", "--mode=gallery", f"--workdir={tmp_path}"]) == 0
    assert 'href="run/report.html"' in (tmp_path / "gallery.html").read_text()


def test_a_gallery_needs_runs_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert "no run lies below" in error(capsys, "--mode=gallery", f"--workdir={tmp_path}")
    assert "depth" in error(capsys, "--mode=gallery", "--depth=3")


def test_version(capsys: pytest.CaptureFixture[str]):
    assert launch.main(["launch.py", "--version"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("jaxvision ") and f"jax {jax.__version__}" in shown
    assert launch.main(["launch.py", EXPERIMENT, "--version"]) == 0 and capsys.readouterr().out == shown


def test_as_a_program(tmp_path: Path):
    command = [sys.executable, "launch.py", "--experiment=classification/rsnet"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
