"""Figures over a data set, pictures of a batch and of the parameters."""

import jax
import numpy as np
import pytest

from jaxvision.train import hooks, progress, steps
from jaxvision.train.types import Metric

STATE = steps.init_state(jax.random.PRNGKey(0), {"params": {"w": 3.0}}, ())


def data(shard: int, shards: int):
    for i in range(3):
        yield {"x": np.full(2, float(i))}


def predict(state, batch):
    return {"y": batch["x"] * state.params["w"]}


def test_evaluate_runs_every_metric_in_one_pass_over_all_batches():
    calls: list[int] = []

    def counted(state, batch):
        calls.append(1)
        return predict(state, batch)

    total = Metric(lambda: 0.0, lambda s, o, b: s + float(o["y"].sum()), lambda s: {"total": s})
    rows = Metric(list, lambda s, o, b: [*s, len(b["x"])], lambda s: {"rows": float(sum(s))})
    hook = hooks.evaluate((total, rows), data, every=5)
    assert hook.run(counted, STATE) == {"val/total": 18.0, "val/rows": 6.0}
    assert len(calls) == 3 and hook.every == 5


def test_json_is_a_file_of_its_own_name():
    listed = Metric(list, lambda s, o, b: s, lambda s: {"list.json": "[]", "table": "| |"})
    assert hooks.evaluate((listed,), data).run(predict, STATE) == {"list.json": "[]", "val/table": "| |"}


def test_picture_shows_the_first_batch():
    hook = hooks.picture("shown", data, lambda outputs, batch: np.full((2, 2, 3), len(batch["x"]), np.uint8))
    assert hook.run(predict, STATE)["shown"].max() == 2


def test_parameters_are_drawn_from_the_state():
    hook = hooks.parameters("w", lambda state: np.full((1, 1, 3), int(state.params["w"]), np.uint8))
    assert hook.run(predict, STATE)["w"].max() == 3


def test_an_evaluation_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(progress, "OFTEN", 0.0)
    hook = hooks.evaluate((Metric(list, lambda s, o, b: s, lambda s: {}),), data)
    with progress.shown():
        hook.run(predict, STATE)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(",")[0] for line in lines] == [f"evaluating val: batch {i}" for i in (1, 2, 3)]
