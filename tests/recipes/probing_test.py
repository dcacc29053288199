"""One command for any encoder: each way to probe, and where the encoder comes from."""

import json
from pathlib import Path

import numpy as np
import pytest

import launch
from experiments.ssl import probe
from jaxvision.data.inputs import Inputs
from jaxvision.recipes.probing import LinearHeads
from jaxvision.weights import load

SMOKE = ["launch.py", "--experiment=ssl/probe", "--smoke"]


def figures(workdir: Path) -> dict[str, float]:
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return {key: value for row in rows for key, value in row.items()}


@pytest.mark.long
@pytest.mark.parametrize("flags", [["--method=finetune", "--labels=0.7"], ["--crop=shift", "--flip"]], ids=str)
def test_other_ways_to_probe(flags: list[str], tmp_path: Path):
    assert launch.main([*SMOKE, *flags, f"--workdir={tmp_path}"]) == 0
    assert {"probe/accuracy", "knn/accuracy"} <= figures(tmp_path).keys()
    pictures = {path.name.rpartition("-")[0] for path in (tmp_path / "images").iterdir()}
    assert {"probe_confusion_matrix", "embedding_pca", "embedding_tsne", "embedding_neighbours"} <= pictures
    assert "accuracy" in (tmp_path / "probe.md").read_text()


def test_the_encoder_of_another_run_is_probed_and_one_that_does_not_fit_is_named(tmp_path: Path, capsys):
    trained = ["launch.py", "--experiment=classification/resnet", "--smoke", "--width=0.03125", "--image_size=16"]
    assert launch.main([*trained, f"--workdir={tmp_path / 'trained'}"]) == 0
    init_from = f"--init_from=workdir:{tmp_path / 'trained'}"
    assert launch.main([*SMOKE, init_from, f"--workdir={tmp_path / 'probe'}"]) == 0
    theirs, ours = (load.load(f"workdir:{tmp_path / name}").variables for name in ("trained", "probe"))
    for collection in ("params", "batch_stats"):
        for layer, tree in theirs[collection]["layer1_0"].items():
            for name, value in tree.items():
                np.testing.assert_array_equal(value, ours[collection]["layer1_0"][layer][name])
    capsys.readouterr()
    assert launch.main([*SMOKE, init_from, "--backbone.width=0.0625", f"--workdir={tmp_path / 'other'}"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: ")
    assert "classification/resnet with depth 10, stem cifar, width 0.03125" in said and "in the network" in said


@pytest.mark.parametrize(("preset", "batch", "lr", "epochs"), [("moco", 256, 30.0, 100), ("simclr", 4096, 1.6, 90)])
def test_the_papers_probe_one_head_on_224_of_256_pixels(preset: str, batch: int, lr: float, epochs: int):
    config = probe.PRESETS[preset]
    assert probe._whole(config).keywords == {"size": 224, "shorter": 256}
    assert (config.batch_size, config.optimizer.lr, config.heads.rates) == (batch, lr, (1.0,))
    assert config.steps == pytest.approx(epochs * 1_281_167 / batch, rel=1e-3)
    assert config.optimizer.weight_decay == 0 and config.heads.feature_norm == "none" and config.crop == "inception"
    records = Inputs().source("digits:count=20")["train"]
    chosen = probe._choose(records, config, seed=0)
    assert chosen.fit.tolist() == list(range(len(records))) and not len(chosen.held_out)
    assert probe.PRESETS["paper"] == probe.PRESETS["moco"]


@pytest.mark.long
def test_one_head_needs_no_images_to_be_chosen_by_and_several_do(tmp_path: Path):
    flags = ["--heads.rates=1", "--heads.held_out=0", "--resize=20", f"--workdir={tmp_path}"]
    assert launch.main([*SMOKE, *flags]) == 0
    assert figures(tmp_path)["probe/lr"] == pytest.approx(0.1)
    with pytest.raises(ValueError, match="--heads.held_out=0 leaves no images to choose a head by"):
        LinearHeads(rates=(1.0, 3.0), held_out=0.0)


def test_images_are_used_once_and_none_that_chooses_also_teaches():
    config = probe.PRESETS["smoke"]
    for labels in (1.0, 0.7):
        chosen = probe._choose(Inputs().source(config.data)["train"], config.__class__(labels=labels), seed=0)
        assert not set(chosen.fit) & set(chosen.held_out) and len(chosen.all) == len(np.unique(chosen.all))
    assert len(chosen.all) == pytest.approx(70, abs=7)
