"""Pretext experiments as commands: data of other kinds, refusals in one line, a user's own images."""

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

import launch
from jaxvision.data.inputs import Inputs
from jaxvision.recipes.pretext import SMOKE, DrawAnswers, PretextConfig, PretextCrop, PretextSetup
from jaxvision.train.steps import nothing
from jaxvision.train.types import Batch, PyTree

CONFIG = PretextConfig(**{**SMOKE, "image_size": 16, "batch_size": 8, "crop": PretextCrop((16, 18), flip=True)})


def command(name: str, workdir: Path, *flags: str) -> int:
    return launch.main(["launch.py", f"--experiment=ssl/{name}", f"--workdir={workdir}", *flags])


def test_colors_cannot_be_learned_from_grey_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert command("colorization", tmp_path, "--preset=smoke", "--data=digits:count=16") == 2
    assert "--data=digits:count=16: the images are grey" in capsys.readouterr().err


def test_a_crop_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert command("rotation", tmp_path, "--preset=smoke", "--crop.shorter=8,18") == 2
    assert "--crop.shorter is (8, 18): give two numbers from --image_size=16 up" in capsys.readouterr().err


@pytest.mark.long
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


def setup(draw: DrawAnswers = lambda outputs, batch: batch["image"][0], **fields: object) -> PretextSetup:
    config = dataclasses.replace(CONFIG, **fields)
    return PretextSetup(Inputs().source(config.data), config, Inputs(), draw, ("l1",))


@pytest.mark.parametrize("shorter", [(16,), (18, 16), (8, 18)], ids=str)
def test_a_range_that_is_none_is_refused_and_a_good_one_cuts_squares(shorter: tuple[int, ...]):
    with pytest.raises(ValueError, match=r"--crop\.shorter is .*: give two numbers from --image_size=16 up"):
        PretextCrop(shorter).make(16)
    photo = np.zeros((40, 50, 3), np.uint8)
    assert PretextCrop((16, 18)).make(16)({"image": photo}, np.random.default_rng(0))["image"].shape == (16, 16, 3)


def test_held_out_images_have_seeds_and_training_images_the_chosen_split():
    parts = setup(train_split="train[:50%]", val_split="train[50%:]")
    data = parts.train()(0, 1)
    assert next(data)["image"].shape == (8, 16, 16, 3)
    assert data.get_state()["records"] == len(parts.source["train[:50%]"])
    batches = list(parts.val()(0, 1))
    assert sum(int(batch["_mask"].sum()) for batch in batches) == len(parts.source["train[50%:]"])
    assert all(batch["seed"].dtype == np.uint32 for batch in batches)


def test_hooks_average_the_metrics_and_draw_images_without_padding():
    drawn: list[int] = []

    def draw(outputs: PyTree, batch: Batch) -> np.ndarray:
        drawn.append(len(batch["image"]))
        assert len(outputs["l1"]) == len(batch["image"])
        return batch["image"][0]

    parts = setup(draw, val_split="train[:3]", eval_every=7)
    values, picture = parts.hooks()
    assert (values.name, values.every, picture.name, picture.every) == ("val", 7, "answers", 7)
    state = nothing().init(jax.random.PRNGKey(0), {})

    def predict(state: object, batch: Batch) -> PyTree:
        return {"l1": np.arange(len(batch["image"]), dtype=np.float32)}

    assert values.run(predict, state) == {"val/l1": 1.0}  # of 0, 1 and 2
    picture.run(predict, state)
    assert drawn == [3]
    assert parts.presentation().describe({"l1": np.array([0.5, 0.25])}, {}, 1) == {"l1": 0.25}
