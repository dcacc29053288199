"""evaluation.json holds the figures of the last stage's hooks."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxvision.run.evaluation import evaluate
from jaxvision.run.request import Flags, Request
from jaxvision.train import devices, loop
from jaxvision.train.restore import Run
from jaxvision.train.types import Experiment, Hook, Stage, TrainState
from jaxvision.train.writer import Writer
from tests.train import toy

REQUEST = Request("area/name", None, Flags(mode="evaluate"), "again")


def test_a_last_stage_without_data_or_steps_is_evaluated(tmp_path: Path):
    def task_init(key, batch):
        return TrainState(np.int32(0), {"w": np.ones(3, np.float32)}, {}, {}, {}, key)

    hook = Hook("sum", 0, lambda predict, state: {"val/sum": float(state.params["w"].sum())})
    experiment = Experiment((Stage("table", toy.regression()._replace(init=task_init), None, 0, (hook,)),))
    where = devices.choose("jit", jax.devices()[:1])
    run = Run(tmp_path, jax.random.PRNGKey(0), where, Writer(tmp_path))
    with pytest.raises(ValueError, match="no checkpoint; train first"):
        evaluate(experiment, run, REQUEST)
    loop.train(experiment, run)
    evaluate(experiment, run, REQUEST)
    said = json.loads((tmp_path / "evaluation.json").read_text())
    assert said == {"step": 0, "val/sum": 3.0, "command": "again"}
