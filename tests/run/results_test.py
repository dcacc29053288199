"""What is read of a workdir."""

import json
from pathlib import Path

import pytest

from jaxvision.run import results
from jaxvision.run.results import Figure


def run_of(workdir: Path, *rows: dict, finished: tuple[str, ...] = (), **about) -> results.Run:
    """A workdir with these rows, in which these stages ended."""
    workdir.mkdir(parents=True, exist_ok=True)
    (workdir / "images").mkdir(exist_ok=True)
    filled = [{"stage": "train", "step": i + 1, "time": 1e9 + i, **row} for i, row in enumerate(rows)]
    (workdir / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in filled))
    if about:
        (workdir / "config.json").write_text(json.dumps(about))
    for row in filled:
        folder = workdir / "checkpoints" / row["stage"]
        if row["stage"] != results.EVALUATION:
            folder.mkdir(parents=True, exist_ok=True)
            if row["stage"] in finished:
                (folder / "finished").touch()
    return results.read(workdir)


def test_figures_are_the_last_values_of_what_is_no_loss_or_time(tmp_path: Path):
    rows = ({"val/accuracy": 0.5, "train/loss": 1.0}, {"val/accuracy": 0.75, "time/train_seconds": 90.0, "x": 3})
    run = run_of(tmp_path, *rows, experiment="area/name")
    assert results.figures(run, "train") == [Figure("val/accuracy", 0.75, "train", 2)]
    assert results.seconds(run, "train") == 90 and results.seconds(run, "other") == 0
    assert results.title(run) == "area/name"


def test_a_workdir_without_settings_is_known_by_what_is_told(tmp_path: Path):
    run_of(tmp_path / "r50", {"stage": "evaluate", "val/accuracy": 0.5})
    assert results.title(results.read(tmp_path / "r50")) == "r50"
    run = results.read(tmp_path / "r50", {"experiment": "area/name"})
    assert results.title(run) == "area/name" and results.stages(run) == [] and results.state(run) == ""
    assert [figure.stage for figure in results.key_figures(run)] == ["evaluate"]


def test_five_guesses_are_no_figure_of_ten_classes(tmp_path: Path):
    row = {"val/accuracy": 0.5, "val/top5": 0.9}
    for classes, names in ((10, ["val/accuracy"]), (11, ["val/accuracy", "val/top5"])):
        run = run_of(tmp_path, row, experiment="a/b", learned={"class_names": ["x"] * classes})
        assert [figure.name for figure in results.key_figures(run)] == names
    assert [figure.name for figure in results.key_figures(run_of(tmp_path, {"val/top5": 0.9}))] == ["val/top5"]


def test_key_figures_are_of_the_training_and_the_most_telling_first(tmp_path: Path):
    scores = {"judge/accuracy": 0.9, "val/AP_small": 0.1, "val/AP": 0.2, "val/AP50": 0.3}
    rows = ({"stage": "pretrain", "knn/accuracy": 0.5}, scores, {"stage": "evaluate", "val/accuracy": 1.0})
    names = [figure.name for figure in results.key_figures(run_of(tmp_path, *rows))]
    assert names == ["val/AP50", "val/AP", "judge/accuracy", "val/AP_small"]


def test_a_comparison_is_told_by_its_table(tmp_path: Path):
    row = {"a/accuracy_0.1": 0.5, "b/accuracy_0.1": 0.6}
    assert len(results.key_figures(run_of(tmp_path, row))) == 2
    (tmp_path / "comparison.md").write_text("| a |")
    assert results.key_figures(run_of(tmp_path, {**row, "files": {"comparison": "comparison.md"}})) == []


def test_a_file_belongs_to_what_wrote_it_last(tmp_path: Path):
    names = [f"images/boxes-{i:06d}.png" for i in range(3)]
    rows = [{"files": {"boxes": name}} for name in names]
    run = run_of(tmp_path, *rows, {"stage": "evaluate", "files": {"boxes": names[1], "x": "x.md"}})
    for name in names[:2]:
        (tmp_path / name).touch()
    assert results.files(run, "train", ".png") == {"boxes": [tmp_path / names[0]]}  # the third is gone
    assert results.files(run, "evaluate", ".png") == {"boxes": [tmp_path / names[1]]}
    assert results.files(run, "evaluate", ".md") == {}


def test_a_run_is_finished_when_every_stage_is(tmp_path: Path):
    rows = ({"stage": "a", "x": 1.0}, {"stage": "b", "x": 1.0, "step": 30})
    assert results.state(run_of(tmp_path, *rows, finished=("a",))) == "stopped at step 30 of b"
    evaluated = {"stage": results.EVALUATION, "step": 30, "val/accuracy": 0.5}
    assert results.state(run_of(tmp_path, *rows, evaluated, finished=("a",))) == "stopped at step 30 of b"
    assert results.state(run_of(tmp_path, *rows, finished=("a", "b"))) == "finished"


@pytest.mark.parametrize(
    ("value", "shown"), [(8.0, "8"), (0.98607, "0.9861"), (1e9, "1e+09"), (float("nan"), "nan"), (float("inf"), "inf")]
)
def test_numbers(value: float, shown: str):
    assert results.number(value) == shown
