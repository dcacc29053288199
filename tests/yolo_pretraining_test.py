"""YOLO's trunk is learned by naming images, and the detector goes on from there (Redmon et al. 2016, section 2.2)."""

from pathlib import Path

import numpy as np

import launch
from jaxvision.weights import load

DETECTOR = ["launch.py", "--experiment=detection/yolo", "--smoke", "--pretraining.steps=0"]


def test_the_detector_starts_from_the_trunk_of_a_classifier(tmp_path: Path):
    classifier, detector = tmp_path / "classifier", tmp_path / "detector"
    assert launch.main(["launch.py", "--experiment=classification/yolo", "--smoke", f"--workdir={classifier}"]) == 0
    start = [*DETECTOR, f"--init_from=workdir:{classifier}"]
    assert launch.main([*start, r"--optimizer.freeze=(conv|bn)[1-7]/", f"--workdir={detector}"]) == 0
    theirs, ours = (load.load(f"workdir:{run}").variables["params"] for run in (classifier, detector))
    assert len(theirs) == 14 and "conv8" not in theirs and {"conv8", "predictions"} <= ours.keys()
    for layer, tree in theirs.items():
        for name, value in tree.items():
            np.testing.assert_array_equal(value, ours[layer][name], err_msg=f"{layer}/{name}")


def test_a_trunk_of_another_width_is_named(tmp_path: Path, capsys):
    classifier = tmp_path / "classifier"
    trained = ["launch.py", "--experiment=classification/yolo", "--smoke", "--width=0.125"]
    assert launch.main([*trained, f"--workdir={classifier}"]) == 0
    capsys.readouterr()
    start = [*DETECTOR, f"--init_from=workdir:{classifier}"]
    assert launch.main([*start, f"--workdir={tmp_path / 'detector'}"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1
    assert "classification/yolo with width 0.125" in said
    assert "bn2/scale is (4,) in the file and (2,) in the network" in said
