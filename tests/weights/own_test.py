"""Runs of ours in one small file, and those that come with the package."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

import launch
from jaxvision.weights import load, own
from jaxvision.weights.imported import merge

LEARNED = {"data": "digits", "class_names": ["cat", "dog"], "mean": [1.0, 2.0, 3.0], "std": [4.0, 5.0, 6.0]}
RUN = {"format": 1, "experiment": "classification/resnet", "config": {"depth": 10}, "learned": LEARNED}


def variables(value: float = 0.1) -> dict:
    params = {
        "conv1": {"kernel": np.full((3, 3, 3, 4), value, np.float32)},
        "fc": {"bias": np.full(2, 0.1, np.float32)},
    }
    return {"params": params, "batch_stats": {"bn1": {"var": np.full(4, 1e-7, np.float32)}}}


def test_a_run_is_read_as_it_was_written_with_kernels_in_half_precision(tmp_path: Path):
    written = {**RUN, "command": "python launch.py --experiment=a/b '--workdir=my runs/1' --depth=10"}
    own.write(tmp_path / "export" / "run.safetensors", variables(), written)
    found = load.load(f"jaxvision:{tmp_path / 'export' / 'run.safetensors'}")
    assert found.run == {**RUN, "command": "python launch.py --experiment=a/b --depth=10"}
    assert found.class_names == ("cat", "dog") and found.network == "classification/resnet"
    assert (found.mean, found.std) == ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0)) and found.head == ("fc",)
    assert found.variables["params"]["conv1"]["kernel"].dtype == np.float32
    assert found.variables["params"]["conv1"]["kernel"].max() == np.float32(np.float16(0.1))
    np.testing.assert_array_equal(found.variables["params"]["fc"]["bias"], variables()["params"]["fc"]["bias"])
    np.testing.assert_array_equal(found.variables["batch_stats"]["bn1"]["var"], np.full(4, 1e-7, np.float32))
    merged = merge(variables(3.0), found)
    assert merged["params"]["conv1"]["kernel"].max() < 1
    assert found.without_head().variables["params"].keys() == {"conv1"}


def test_a_kernel_beyond_half_precision_keeps_its_numbers(tmp_path: Path):
    own.write(tmp_path / "run.safetensors", variables(1e5 + 1), RUN)
    assert own.read(str(tmp_path / "run.safetensors")).variables["params"]["conv1"]["kernel"].max() == 100001


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (None, "no network of this project.*--init_from=torchvision:"),
        ({"config.json": "[]"}, "its config.json lacks one of experiment, config, learned"),
        ({"config.json": json.dumps({**RUN, "learned": None})}, "lacks one of"),
        ({"config.json": json.dumps({**RUN, "learned": {"mean": [1]}})}, "run.safetensors: "),
        ({"config.json": "{"}, "run.safetensors: "),
    ],
)
def test_other_files_are_refused_in_one_line(header: dict[str, str] | None, message: str, tmp_path: Path):
    save_file({"params/x/kernel": np.zeros((2, 2), np.float32)}, tmp_path / "run.safetensors", header)
    with pytest.raises(ValueError, match=message) as error:
        load.load(f"jaxvision:{tmp_path / 'run.safetensors'}")
    assert "\n" not in str(error.value)


def test_a_file_that_was_cut_short_is_named(tmp_path: Path):
    own.write(tmp_path / "run.safetensors", variables(), RUN)
    (tmp_path / "run.safetensors").write_bytes((tmp_path / "run.safetensors").read_bytes()[:-9])
    with pytest.raises(ValueError, match="run.safetensors: cut short"):
        load.load(f"jaxvision:{tmp_path / 'run.safetensors'}")


def test_a_run_that_did_not_say_what_it_learned_from_is_not_written(tmp_path: Path):
    with pytest.raises(ValueError, match="--format=jaxvision: config.json of this run does not say"):
        own.write(tmp_path / "run.safetensors", variables(), {"experiment": "x", "config": {}})


def test_a_name_that_does_not_come_along_is_answered_with_those_that_do():
    with pytest.raises(
        ValueError, match="--init_from=jaxvision:digit: no such file or folder; by name there are digits_"
    ):
        load.load("jaxvision:digit")


@pytest.mark.parametrize("name", own.names())
def test_what_comes_along_is_small_and_has_a_card(name: str):
    file = Path(own.located(name))
    assert file.stat().st_size < 3_000_000
    card = file.with_suffix(".md").read_text()
    for subject in ("Data", "Licence", "Command", "Figure", "Device"):
        assert f"| {subject} |" in card, f"{name}.md does not say {subject}"
    found = load.load(f"jaxvision:{name}")
    assert found.run["experiment"] in card and "/" not in found.run["command"].replace(found.run["experiment"], "")


def test_three_networks_come_along():
    assert own.names() == ["digits_dcgan", "digits_resnet", "scenes_faster_rcnn"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "flags", "least"),
    [
        ("digits_resnet", [], {"val/accuracy": 0.97}),
        ("scenes_faster_rcnn", ["--val_split=val[:64]"], {"val/AP50": 0.8}),
    ],
)
def test_what_comes_along_is_as_good_as_its_card_says(name: str, flags: list[str], least: dict, tmp_path: Path):
    asked = [f"--init_from=jaxvision:{name}", "--mode=evaluate", f"--workdir={tmp_path / 'out'}", *flags]
    assert launch.main(["launch.py", *asked]) == 0
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert {key: found[key] >= value for key, value in least.items()} == dict.fromkeys(least, True)


@pytest.mark.long
def test_digits_are_drawn_at_once(tmp_path: Path):
    asked = ["--init_from=jaxvision:digits_dcgan", "--mode=sample", "--samples=8", f"--workdir={tmp_path / 'out'}"]
    assert launch.main(["launch.py", *asked]) == 0
    drawn = np.asarray(Image.open(tmp_path / "out" / "samples" / "grid.png"))
    assert drawn.std() > 40
