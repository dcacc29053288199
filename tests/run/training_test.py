"""A training leaves its curves, also when it stops half-way."""

from pathlib import Path

import jax
import pytest

from jaxvision.run.training import train
from jaxvision.train import devices
from jaxvision.train.restore import Run
from jaxvision.train.types import Experiment, Hook
from jaxvision.train.writer import Writer
from tests.train import toy


def run_in(workdir: Path) -> Run:
    one = devices.choose("jit", jax.devices()[:1])
    return Run(workdir, jax.random.PRNGKey(0), one, Writer(workdir), log_every=2)


def test_the_last_line_says_what_came_out_and_where_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    figure = Hook("figure", 0, lambda predict, state: {"val/figure": 0.25})
    train(Experiment.single(toy.regression(), toy.Numbers, 4, (figure,)), run_in(tmp_path))
    *_, figures, where = capsys.readouterr().err.strip().splitlines()
    assert figures == "val/figure 0.25" and str(tmp_path / "metrics.jsonl") in where
    assert (tmp_path / "images" / "curves.png").exists()


def test_a_run_that_stops_has_curves_too(tmp_path: Path):
    def stop(predict, state):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(Experiment.single(toy.regression(), toy.Numbers, 8, (Hook("stop", 6, stop),)), run_in(tmp_path))
    assert (tmp_path / "images" / "curves.png").exists()
