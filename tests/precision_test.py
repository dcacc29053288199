"""A run keeps its precision: it is trained, evaluated, used, exported and taken up again in it."""

import json
from pathlib import Path

import numpy as np
import pytest
from jax import export
from PIL import Image

import launch
from jaxvision.ops.dispatch import plain_forms

EXPERIMENT = "--experiment=classification/resnet"


def run(workdir: Path, *flags: str) -> int:
    with plain_forms():
        return launch.main(["launch.py", EXPERIMENT, "--smoke", f"--workdir={workdir}", *flags])


@pytest.mark.long
def test_a_run_in_bfloat16_is_one_throughout(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    half, photo = tmp_path / "half", tmp_path / "photo.png"
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(photo)
    assert run(half, "--precision=bfloat16") == 0
    assert json.loads((half / "config.json").read_text())["precision"] == "bfloat16"
    assert "bfloat16" in (half / "report.html").read_text()
    for mode, *flags in (["evaluate"], ["predict", f"--input={photo}"], ["export"]):
        assert run(half, f"--mode={mode}", *flags) == 0
    program = export.deserialize(bytearray((half / "export" / "predict.stablehlo").read_bytes()))
    assert "bf16" in program.mlir_module() and {str(a.dtype) for a in program.out_avals} == {"float32"}
    assert json.loads((half / "predictions.json").read_text())[0]["file"] == str(photo)
    assert run(half) == 2 and "--precision is float32 (saved: bfloat16)" in capsys.readouterr().err
    assert run(half, "--precision=bfloat16") == 0


@pytest.mark.long
def test_evaluation_may_be_in_another_precision(tmp_path: Path):
    assert run(tmp_path, "--precision=bfloat16") == 0
    figures = []
    for given in ([], ["--precision=float32"]):
        assert run(tmp_path, "--mode=evaluate", *given) == 0
        figures.append(json.loads((tmp_path / "evaluation.json").read_text()))
    assert abs(figures[0]["val/accuracy"] - figures[1]["val/accuracy"]) <= 0.25
