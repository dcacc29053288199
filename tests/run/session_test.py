"""config.json: what a workdir remembers of its run; and predictions.json."""

import json
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from PIL import Image

from jaxvision.data.decode import decode
from jaxvision.run import session
from jaxvision.run.session import remember
from jaxvision.train import devices, loop
from jaxvision.train.types import Experiment, Hook, Presentation, Stage, TrainState
from jaxvision.train.writer import Writer
from jaxvision.weights.imported import Imported
from tests.train import toy


def test_the_first_run_is_written_down(tmp_path: Path):
    remember(tmp_path / "new", "area/name", 3, {"depth": 18, "marks": (0.5, 0.75)})
    saved = json.loads((tmp_path / "new" / "config.json").read_text())
    assert saved == {"experiment": "area/name", "seed": 3, "config": {"depth": 18, "marks": [0.5, 0.75]}}


def test_the_same_run_goes_on_and_another_is_refused_by_the_flags_that_differ(tmp_path: Path):
    config = {"depth": 18, "marks": (0.5, 0.75)}
    remember(tmp_path, "area/name", 0, config)
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    remember(tmp_path, "area/name", 0, config)
    with pytest.raises(ValueError, match=r"--depth is 34 \(saved: 18\).*--seed is 1 \(saved: 0\)"):
        remember(tmp_path, "area/name", 1, {**config, "depth": 34})
    with pytest.raises(ValueError, match=r"--experiment is area/other \(saved: area/name\); choose another --workdir"):
        remember(tmp_path, "area/other", 0, config)


def test_a_run_that_never_began_is_replaced(tmp_path: Path):
    remember(tmp_path, "area/name", 0, {"depth": 19})
    remember(tmp_path, "area/name", 0, {"depth": 18})
    assert json.loads((tmp_path / "config.json").read_text())["config"] == {"depth": 18}


def test_flags_of_the_stage_to_be_done_again_may_differ(tmp_path: Path):
    remember(tmp_path, "area/name", 0, {"svm.c": 0.1, "lr": 1.0})
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    wanted = remember(tmp_path, "area/name", 0, {"svm.c": 0.2, "lr": 1.0}, again="svm")
    assert wanted["config"]["svm.c"] == 0.2
    assert json.loads((tmp_path / "config.json").read_text())["config"]["svm.c"] == 0.1  # until the old one is gone
    with pytest.raises(ValueError, match=r"--lr is 2.0 \(saved: 1.0\); choose"):
        remember(tmp_path, "area/name", 0, {"svm.c": 0.2, "lr": 2.0}, again="svm")


def test_only_training_does_a_stage_again(tmp_path: Path):
    flags = {"coordinator": "", "num_processes": 1, "process_id": 0, "parallel": "jit", "workdir": str(tmp_path)}
    with pytest.raises(ValueError, match="--from_stage trains again: leave it out of --mode=evaluate"):
        session.run("area/name", None, SimpleNamespace(batch_size=8), {**flags, "mode": "evaluate", "from_stage": "a"})


def test_predictions_are_of_the_images_that_a_batch_names(tmp_path: Path):
    (tmp_path / "photos" / "other").mkdir(parents=True)
    for name in ("a", "b", "other/a"):
        Image.new("RGB", (4, 4)).save(tmp_path / "photos" / f"{name}.png")
    batches = [
        {"x": np.full((2, 3), 9.0, np.float32), "image_id": np.array([2, 0]), "_mask": np.array([True, True])},
        {"x": np.zeros((2, 3), np.float32), "image_id": np.array([1, 1]), "_mask": np.array([False, False])},
        {"x": np.zeros((2, 3), np.float32), "image_id": np.array([1, 1]), "_mask": np.array([True, False])},
    ]
    shown = Presentation(
        lambda files: lambda shard, shards: (batch for batch in batches),
        lambda outputs, batch, row: {"id": int(batch["image_id"][row]), "far": bool(abs(outputs["y"][row]) > 0)},
        lambda outputs, batch: np.zeros((batch["_mask"].any() + 1, 2, 3), np.uint8),
        lambda said: {"images": said},
        lambda outputs, batch, row: np.full((2, 2, 3), batch["image_id"][row], np.uint8),
    )
    experiment = Experiment.single(toy.regression(), toy.Numbers, 1, presentation=shown)
    where = devices.choose("jit", jax.devices()[:1])
    how = loop.Run(tmp_path / "run", jax.random.PRNGKey(0), where, Writer(tmp_path / "run"))
    loop.train(experiment, how)
    session.predict(experiment, how, {"input": str(tmp_path / "photos"), "checkpoint": "latest", "command": "again"})
    said = json.loads((tmp_path / "run" / "predictions.json").read_text())["images"]
    found = [(Path(one["file"]).relative_to(tmp_path / "photos"), one["id"], one["far"]) for one in said]
    assert [(str(file), *rest) for file, *rest in found] == [
        ("other/a.png", 2, True),
        ("a.png", 0, True),
        ("b.png", 1, False),
    ]
    assert all(len(decode(tmp_path / "run" / f"predictions-00{i}.png")) == 2 for i in range(2))  # no empty one
    maps = {path.name: int(decode(path).max()) for path in (tmp_path / "run" / "label_maps").iterdir()}
    assert maps == {"a-0.png": 0, "a-2.png": 2, "b.png": 1}  # none in the place of another
    shown = (tmp_path / "run" / "predictions.html").read_text()
    assert "again" in shown and "predictions-001.png" in shown and "predictions-002.png" not in shown


def test_imported_weights_are_also_where_averages_begin():
    params = {"trunk": {"a": {"kernel": np.zeros((2, 3), np.float32)}}, "head": {"bias": np.zeros(3, np.float32)}}
    state = TrainState(0, params, {}, {}, {"average": params, "queue": np.zeros((4, 2))}, np.zeros(2, np.uint32))
    found = {"params": {"a": {"kernel": np.ones((2, 3), np.float32)}}}
    begun = session.start_from(Imported(found, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), "some.file"), state)
    assert begun.params["trunk"]["a"]["kernel"].min() == 1 == begun.aux["average"]["trunk"]["a"]["kernel"].min()
    assert begun.params["head"]["bias"].max() == 0 and begun.aux["queue"].shape == (4, 2)


def test_a_workdir_remembers_how_its_imported_weights_saw_pixels(tmp_path: Path):
    assert session.seen(session.remembered(tmp_path)) == (None, ())
    origin = {"init_from": "hed:some.file", "normalise": {"mean": (1.0, 2.0, 3.0), "std": (4.0, 5.0, 6.0)}}
    remember(tmp_path, "area/name", 0, {"depth": 18}, {**origin, "prepared": {"class_names": ["a", "b"]}})
    assert session.seen(session.remembered(tmp_path)) == (((1.0, 2.0, 3.0), (4.0, 5.0, 6.0)), ("a", "b"))
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    with pytest.raises(ValueError, match=r"--init_from is None \(saved: hed:some.file\)"):
        remember(tmp_path, "area/name", 0, {"depth": 18})


def test_a_last_stage_without_data_or_steps_is_evaluated(tmp_path: Path):
    def task_init(key, batch):
        return TrainState(np.int32(0), {"w": np.ones(3, np.float32)}, {}, {}, {}, key)

    hook = Hook("sum", 0, lambda predict, state: {"val/sum": float(state.params["w"].sum())})
    experiment = Experiment((Stage("table", toy.regression()._replace(init=task_init), None, 0, (hook,)),))
    where = devices.choose("jit", jax.devices()[:1])
    how = loop.Run(tmp_path, jax.random.PRNGKey(0), where, Writer(tmp_path))
    with pytest.raises(ValueError, match="no checkpoint; train first"):
        session.evaluate(experiment, how, {"checkpoint": "latest", "command": "again"})
    loop.train(experiment, how)
    session.evaluate(experiment, how, {"checkpoint": "latest", "command": "again"})
    said = json.loads((tmp_path / "evaluation.json").read_text())
    assert said == {"step": 0, "val/sum": 3.0, "command": "again"}


def test_weights_that_saw_pixels_as_the_data_has_them_leave_the_normalisation_to_it(tmp_path: Path):
    origin = {"init_from": "workdir:runs/a", "normalise": {"mean": None, "std": None}}
    remember(tmp_path, "area/name", 0, {"depth": 18}, origin)
    assert session.seen(session.remembered(tmp_path)) == (None, ())
