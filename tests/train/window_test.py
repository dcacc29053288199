"""Metrics are written as means, one window late, and never when one of them is not finite."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.train.window import Window
from jaxvision.train.writer import Writer, read_metrics


def test_a_window_is_written_when_the_next_is_full_and_the_rest_at_a_flush(tmp_path: Path):
    window, path = Window("train", Writer(tmp_path)), tmp_path / "metrics.jsonl"
    for step in range(1, 6):
        window.add(step, {"loss": jnp.array(float(step))})
        if step % 2 == 0:
            window.turn()
    assert [(row["step"], row["train/loss"]) for row in read_metrics(path)] == [(2, 1.5)]
    window.flush()
    rows = read_metrics(path)
    assert [(row["step"], row["train/loss"]) for row in rows] == [(2, 1.5), (4, 3.5), (5, 5.0)]
    assert all(row["time/steps_per_second"] > 0 for row in rows[:2])
    window.flush()
    assert read_metrics(path) == rows


def test_a_metric_that_is_not_finite_is_an_error_with_its_step(tmp_path: Path):
    window = Window("train", Writer(tmp_path))
    for step, loss in enumerate((1.0, float("nan")), 1):
        window.add(step, {"loss": jnp.array(loss)})
    with pytest.raises(ValueError, match="step 2: train/loss is nan; lower --optimizer.lr"):
        window.flush()
    assert read_metrics(tmp_path / "metrics.jsonl") == []


def test_a_window_that_is_interrupted_goes_on_as_if_it_had_not_been(tmp_path: Path):
    losses = np.random.default_rng(0).normal(size=9).astype(np.float32)

    def rows(stops: tuple[int, ...], workdir: Path) -> list[tuple[int, float]]:
        window = Window("train", Writer(workdir))
        for step, loss in enumerate(losses, 1):
            window.add(step, {"loss": jnp.array(loss)})
            if step % 4 == 0:
                window.turn()
            if step in stops:
                window.write_whole()
                saved = json.loads(json.dumps(window.unfinished()))
                assert len(saved) == step % 4
                window = Window("train", Writer(workdir))
                window.go_on(step, saved)
        window.flush()
        return [(row["step"], row["train/loss"]) for row in read_metrics(workdir / "metrics.jsonl")]

    straight = rows((), tmp_path / "straight")
    assert [step for step, _ in straight] == [4, 8, 9]
    assert rows((1, 3, 4, 6, 7), tmp_path / "stopped") == straight


def test_no_window_is_saved_with_a_metric_that_is_not_finite(tmp_path: Path):
    window = Window("train", Writer(tmp_path))
    window.add(1, {"loss": jnp.array(jnp.inf)})
    with pytest.raises(ValueError, match="step 1: train/loss is inf"):
        window.unfinished()
