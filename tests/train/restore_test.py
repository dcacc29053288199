"""A stage begins anew or at its newest checkpoint; the trained network comes back."""

from pathlib import Path

import jax
import numpy as np
import pytest

from jaxvision.train import devices, loop
from jaxvision.train.restore import Run, checkpoints, restore, start
from jaxvision.train.types import Experiment, Hook, Stage
from jaxvision.train.writer import Writer
from tests.train import toy


def run_in(workdir: Path) -> Run:
    one = devices.choose("jit", jax.devices()[:1])
    return Run(workdir, jax.random.PRNGKey(0), one, Writer(workdir), save_every=3)


def test_a_new_state_then_the_newest_checkpoint_with_its_data_and_seconds(tmp_path: Path):
    stage, run, data = Stage("train", toy.regression(), toy.Numbers, 4), run_in(tmp_path), toy.Numbers(0, 1)
    newest, best = checkpoints(stage, run)
    state, saved = start(stage, run, {}, data, newest)
    assert (int(state.step), saved, data.position) == (0, {"rows": 0}, 0)
    newest.save(2, state.replace(step=np.int32(2)), {"data": {"position": 7}, "seconds": 1.5})
    state, saved = start(stage, run, {}, data, newest)
    assert (int(state.step), saved["seconds"], data.position) == (2, 1.5, 7)
    newest.close()
    best.close()


def test_the_latest_or_the_best_network(tmp_path: Path):
    scores = iter([2.0, 1.0])
    hook = Hook("score", 3, lambda predict, state: {"val/score": next(scores)})
    experiment = Experiment((Stage("train", toy.regression(), toy.Numbers, 5, (hook,)),), best="val/score")
    batch, run = next(toy.Numbers(0, 1)), run_in(tmp_path)
    with pytest.raises(ValueError, match="no checkpoint; train first, with --mode=train"):
        restore(experiment.stages[0], run, batch)
    last = loop.train(experiment, run)
    predict, latest = restore(experiment.stages[0], run, batch)
    np.testing.assert_array_equal(latest.params["w"], last.params["w"])
    assert predict(latest, batch)["y"].shape == (8,)
    assert int(restore(experiment.stages[0], run, batch, "best")[1].step) == 3


def test_a_best_checkpoint_that_is_older_than_the_metrics_say_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    scores = iter([1.0, 2.0, 0.5])
    hook = Hook("score", 3, lambda predict, state: {"val/score": next(scores)})
    stage = Stage("train", toy.regression(), toy.Numbers, 7, (hook,))
    batch, run = next(toy.Numbers(0, 1)), run_in(tmp_path)._replace(best="val/score")
    loop.train(Experiment((stage,), best="val/score"), run)
    capsys.readouterr()
    restore(stage, run, batch, "best")
    assert capsys.readouterr().err == ""
    rows = (tmp_path / "metrics.jsonl").read_text().replace('"val/score": 0.5', '"val/score": 2.5')
    (tmp_path / "metrics.jsonl").write_text(rows)
    restore(stage, run, batch, "best")
    assert "train-best is of step 6, where val/score was 2; the better one of step 7 (2.5)" in capsys.readouterr().err
