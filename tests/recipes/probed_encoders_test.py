"""Methods side by side: the same network, budget and labels for all, and a run that was stopped says the same."""

import dataclasses
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import launch
from experiments.ssl import compare
from jaxvision.data.inputs import Inputs
from jaxvision.ops.dispatch import plain_forms
from jaxvision.recipes.comparison_table import Ran
from jaxvision.recipes.probed_encoders import way, ways
from jaxvision.train.steps import nothing
from jaxvision.train.writer import Writer, read_metrics

ROOT = Path(__file__).parent.parent.parent
SMOKE = compare.PRESETS["smoke"]


@pytest.mark.parametrize("name", compare.MODULES)
@pytest.mark.parametrize("preset", ["smoke", "quick", "fashion"])
def test_every_method_has_the_network_and_the_budget_of_all(name: str, preset: str):
    config = dataclasses.replace(
        compare.PRESETS[preset],
        data="tinted",
        train_split="train[:90%]",
        val_split="train[90%:]",
        batch_size=8,
        steps=7,
    )
    own = compare.method_config(name, config)
    assert (own.backbone, own.batch_size, own.steps, own.data) == (config.backbone, 8, 7, config.data)
    (stage,) = compare.MODULES[name].build(own, Inputs()).stages
    data = stage.data(0, 1)
    assert stage.steps == 7 and len(next(data)["image"]) == 8
    assert data.get_state()["records"] == len(Inputs().source("tinted")["train[:90%]"])


def test_a_method_without_the_recipe_s_preset_takes_quick():
    config = compare.PRESETS["fashion"]
    pieces, whole = (compare.method_config(name, config) for name in ("jigsaw", "rotation"))
    assert pieces.tile == compare.jigsaw.PRESETS["fashion"].tile != compare.jigsaw.PRESETS["quick"].tile
    assert whole.optimizer == compare.rotation.PRESETS["quick"].optimizer


def test_settings_can_be_chosen_without_the_images_that_figures_are_of():
    config = dataclasses.replace(SMOKE, train_split="train[:90%]", val_split="train[90%:]", methods=())
    source = Inputs().source(config.data)
    learned, kept = (len(source[split]) for split in (config.train_split, config.val_split))
    stages = {stage.name: stage for stage in compare.build(config, Inputs()).stages}
    assert stages["supervised-0-train"].data(0, 1).get_state()["records"] == learned
    asked: list[int] = []

    def predict(state: Any, batch: Any) -> dict[str, np.ndarray]:
        asked.append(int(batch["_mask"].sum()))
        return {"probabilities": np.ones((len(batch["_mask"]), 2, 2, 10))}

    stages["random-0-probe"].hooks[0].run(predict, nothing().init(jax.random.PRNGKey(0), {}))
    subsets = compare._examples(config, Inputs(), compare.labels_of(source[config.train_split])).subsets
    assert sum(asked) == kept + sum(len(subset.held_out) for subset in subsets)


def test_every_encoder_is_probed_for_every_seed_and_then_compared():
    config = dataclasses.replace(SMOKE, seeds=2, methods=("rotation", "simclr"))
    names = [stage.name for stage in compare.build(config, Inputs()).stages]
    each = [f"{name}-{seed}-{part}" for name in ("rotation", "simclr", "supervised") for seed in (0, 1)
            for part in ("train", "probe")]  # fmt: skip
    assert names == ["random-0-probe", "random-1-probe", *each, "comparison"]


def test_seeds_differ_in_weights_batches_and_labels_and_share_one_step():
    stages = {
        s.name: s for s in compare.build(dataclasses.replace(SMOKE, seeds=2, methods=("simclr",)), Inputs()).stages
    }
    one, other = stages["simclr-0-train"], stages["simclr-1-train"]
    assert one.task.step is other.task.step
    first, second = (next(stage.data(0, 1))["image"] for stage in (one, other))
    assert np.any(first != second)
    labels = np.arange(400) % 10
    config = dataclasses.replace(SMOKE, shares=(0.1,))
    chosen = [compare._examples(config, Inputs(seed=s), labels).subsets[0].all.tolist() for s in (0, 1)]
    assert chosen[0] != chosen[1] and len(chosen[0]) == 40


def test_colours_are_learned_where_there_are_some():
    config = dataclasses.replace(SMOKE, methods=("colorization", "moco"))
    grey, coloured = (Inputs().source(spec) for spec in ("digits:count=16", "tinted:count=16"))
    assert compare.encoders(config, grey) == ["random", "moco", "supervised"]
    assert compare.encoders(config, coloured) == ["random", "colorization", "moco", "supervised"]
    assert "left out" in compare._notes(config, compare.encoders(config, grey))[-1]
    with pytest.raises(ValueError, match="--methods: there is no byol; known are rotation, "):
        compare.encoders(dataclasses.replace(SMOKE, methods=("byol",)), grey)


def test_the_table_says_how_far_each_method_is_on_the_way():
    scores = {"random": (0.5, 0.6), "simclr": (0.65, 0.8), "supervised": (0.8, 0.8)}
    runs = {
        name: [Ran({}, [{"probe/accuracy_0.01": few, "probe/accuracy_0.1": many}])]
        for name, (few, many) in scores.items()
    }
    assert ways((0.01, 0.1), runs) == {"way at 1 %": ["0.00", "0.50", "1.00"], "way at 10 %": ["0.00", "1.00", "1.00"]}
    assert ways((0.01,), {"simclr": runs["simclr"]}) == {}


def test_the_way_is_none_for_the_random_encoder_and_whole_for_the_supervised_one():
    scores = {
        "random": np.array([[0.2, 0.4], [0.4, 0.4]]),
        "simclr": np.array([[0.5, 0.6]]),
        "supervised": np.array([[0.9, 0.8]]),
    }
    np.testing.assert_allclose(way(scores, "random"), [0.0, 0.0])
    np.testing.assert_allclose(way(scores, "simclr"), [1 / 3, 0.5])
    np.testing.assert_allclose(way(scores, "supervised"), [1.0, 1.0])


def run(workdir: Path, stop_after: str = "") -> str:
    """A smoke run, ended by SIGTERM once a line begins with `stop_after`."""
    flags = ["--experiment=ssl/compare", "--smoke", "--steps=30", f"--workdir={workdir}", "--log_every=1"]
    with subprocess.Popen(
        [sys.executable, "launch.py", *flags], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr if stop_after else ():
            if line.startswith(stop_after):
                process.send_signal(signal.SIGTERM)
                break
        rest = process.stderr.read()
    assert process.returncode == 0, rest
    return rest


class Killed(BaseException):
    """Nothing but the operating system cleans up behind it."""


@pytest.mark.long
def test_killed_while_a_probe_learns_it_goes_on_with_that_probe(tmp_path: Path):
    flags = ["launch.py", "--experiment=ssl/compare", "--smoke", "--methods=", "--shares=1.0", f"--workdir={tmp_path}"]
    whole = Writer.write

    def fragile(self: Writer, name: str, step: int, values: Any) -> None:
        if name == "supervised-0-probe":
            raise Killed
        whole(self, name, step, values)

    with plain_forms():  # which compile sooner
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
            patch.setattr(Writer, "write", fragile)
            launch.main(flags)
        before = read_metrics(tmp_path / "metrics.jsonl")
        assert {row["stage"] for row in before} == {"random-0-probe", "supervised-0-train"}
        assert launch.main(flags) == 0
    after = read_metrics(tmp_path / "metrics.jsonl")
    assert after[: len(before)] == before and after[-1]["stage"] == "comparison"
    assert {row["stage"] for row in after[len(before) :]} == {"supervised-0-probe", "comparison"}
    assert "| supervised" in (tmp_path / "comparison.md").read_text()


@pytest.mark.long
def test_a_comparison_that_was_stopped_says_the_same(tmp_path: Path):
    run(tmp_path / "straight")
    assert "the same command goes on from there" in run(tmp_path / "stopped", "rotation-0-train step 1")
    run(tmp_path / "stopped")
    straight, stopped = (read_metrics(tmp_path / name / "metrics.jsonl")[-1] for name in ("straight", "stopped"))
    assert {k: v for k, v in straight.items() if k != "time"} == {k: v for k, v in stopped.items() if k != "time"}
