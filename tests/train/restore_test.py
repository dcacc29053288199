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
    state, seconds = start(stage, run, {}, data, newest)
    assert (int(state.step), seconds, data.position) == (0, 0.0, 0)
    newest.save(2, state.replace(step=np.int32(2)), {"data": {"position": 7}, "seconds": 1.5})
    state, seconds = start(stage, run, {}, data, newest)
    assert (int(state.step), seconds, data.position) == (2, 1.5, 7)
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
