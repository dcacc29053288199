"""What is typed becomes one frozen record; --help and --version."""

import json
from pathlib import Path

import numpy as np
import pytest

from jaxvision.run import commandline
from jaxvision.weights import own

EXPERIMENT = "--experiment=classification/resnet"


def parsed(*argv: str) -> tuple:
    return commandline.parse(["launch.py", *argv])


def test_a_command_can_be_typed_again():
    typed = ["--workdir=a b", "--optimizer.lr", "0.5", "--noaugment.flip", "--smoke", "--from_stage=train", EXPERIMENT]
    values, _, _ = parsed(*typed)
    again = "--noaugment.flip --optimizer.lr=0.5 --smoke '--workdir=a b'"
    assert commandline.command(values) == f"python launch.py {EXPERIMENT} {again}"


def test_a_request_has_the_flags_with_their_types(tmp_path: Path):
    request = commandline.request(*parsed(EXPERIMENT, "--seed=3", "--strict", f"--workdir={tmp_path}", "--depth=34"))
    assert (request.experiment, request.config.depth) == ("classification/resnet", 34)
    assert (request.flags.seed, request.flags.strict, request.flags.keep) == (3, True, 2)
    assert request.flags.workdir == str(tmp_path) and "--seed=3" in request.command
    with pytest.raises(ValueError, match="--keep=0: should be 1 or more"):
        commandline.request(*parsed(EXPERIMENT, "--keep=0"))


def test_a_trained_network_is_used_in_the_precision_of_its_run(tmp_path: Path):
    about = {"experiment": "classification/resnet", "config": {}, "precision": "bfloat16"}
    (tmp_path / "config.json").write_text(json.dumps(about))
    for mode, given, expected in (
        ("evaluate", [], "bfloat16"),
        ("predict", ["--precision=float32"], "float32"),
        ("train", [], "float32"),  # which is then refused
    ):
        request = commandline.request(*parsed(EXPERIMENT, f"--workdir={tmp_path}", f"--mode={mode}", *given))
        assert request.flags.precision == expected


def test_a_run_in_a_file_brings_its_experiment_and_its_settings(tmp_path: Path):
    learned = {"class_names": ["a"], "mean": [1.0] * 3, "std": [2.0] * 3}
    run = {"experiment": "gan/dcgan", "config": {"network.width": 0.5, "steps": 7}, "learned": learned}
    own.write(tmp_path / "mine.safetensors", {"params": {"x": {"bias": np.zeros(1)}}}, {**run, "precision": "bfloat16"})
    file = f"--init_from=jaxvision:{tmp_path / 'mine.safetensors'}"
    request = commandline.request(*parsed(file, "--mode=sample"))
    assert (request.experiment, request.config.network.width, request.config.steps) == ("gan/dcgan", 0.5, 7)
    assert request.flags.precision == "bfloat16" and request.flags.workdir == "runs/mine"
    request = commandline.request(*parsed(file, f"--workdir={tmp_path / 'new'}"))  # trains on
    assert (request.experiment, request.config.network.width) == ("gan/dcgan", 0.5) and request.config.steps > 7


def test_the_workdir_is_called_after_the_experiment():
    values, _, _ = parsed(EXPERIMENT)
    assert values.workdir == "runs/classification-resnet"
    values, _, _ = parsed(EXPERIMENT, "--smoke")
    assert Path(values.workdir).is_dir()


@pytest.mark.parametrize("asked", ["--help", "-h"])
def test_help_has_a_line_for_every_flag(asked: str):
    values, name, _ = parsed(asked, EXPERIMENT)
    shown = commandline.usage("Begins so.", values, name)
    assert values.help and shown.startswith("Begins so.\n") and "He, Zhang" in shown
    assert "  --checkpoint=latest         <latest|best>: " in shown and "  --optimizer.lr=" in shown
    assert len([line for line in shown.splitlines() if line.startswith("  --")]) == len(list(values))
    assert "Presets" in shown and "  smoke " in shown and "typing." not in shown


def test_no_words_and_forgotten_names():
    assert parsed()[1:] == ("", None)
    for word, meant in ((EXPERIMENT[13:], "--experiment="), ("predict", "--mode=predict")):
        with pytest.raises(ValueError, match=f"{word}: not a flag; did you mean {meant}"):
            parsed(word)
    with pytest.raises(ValueError, match="--experiment=: no such experiment"):
        parsed("--depth", "34")  # not: 34 is no flag
    with pytest.raises(ValueError, match="--lr: there is no such flag; did you mean --optimizer.lr=0.1"):
        parsed(EXPERIMENT, "--lr=0.1")
    with pytest.raises(ValueError, match="--epochs and --steps"):
        parsed(EXPERIMENT, "--epochs=2", "--steps=100")


def test_versions():
    ours, jax = commandline.versions().splitlines()
    assert ours.startswith("jaxvision 0.") and jax.startswith("jax 0.")


def test_what_is_set_before_jax_starts_is_found_on_any_command_line():
    for given, expected in (([], False), (["--deterministic"], True), (["--deterministic=false", "--steps=2"], False)):
        assert commandline.deterministic(["launch.py", EXPERIMENT, *given]) is expected
    assert not commandline.deterministic(["launch.py", "--deterministic", "--workers=many"])  # an error, told later


def test_a_plan_needs_no_experiment_and_then_none_of_its_flags():
    values, name, config = parsed("--mode=plan", "--preset=paper", "--devices=4")
    assert (values.devices, values.memory, name, config) == (4, 80.0, "", None)
    with pytest.raises(ValueError, match="depth"):
        parsed("--mode=plan", "--depth=34")
