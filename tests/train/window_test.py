"""Metrics are written as means, one window late, and never when one of them is not finite."""

from pathlib import Path

import jax.numpy as jnp
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
    assert [(row["step"], row["train/loss"]) for row in rows] == [(2, 1.5), (5, 4.0)]
    assert all(row["time/steps_per_second"] > 0 for row in rows)
    window.flush()
    assert read_metrics(path) == rows


def test_a_metric_that_is_not_finite_is_an_error_with_its_step(tmp_path: Path):
    window = Window("train", Writer(tmp_path))
    for step, loss in enumerate((1.0, float("nan")), 1):
        window.add(step, {"loss": jnp.array(loss)})
    with pytest.raises(ValueError, match="step 2: train/loss is nan; lower --optimizer.lr"):
        window.flush()
    assert read_metrics(tmp_path / "metrics.jsonl") == []
