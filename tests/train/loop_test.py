"""The order of things: start, log, look, save, stop, go on."""

import json
import os
import signal
from pathlib import Path

import chex
import jax
import numpy as np
import pytest

from jaxvision.train import devices, loop
from jaxvision.train.checkpoint import Checkpoints
from jaxvision.train.restore import Run, restore
from jaxvision.train.signals import Interrupted
from jaxvision.train.types import Experiment, Hook, Stage, TrainState
from jaxvision.train.writer import Writer, read_metrics
from tests.train import toy


def run_of(workdir: Path, **fields) -> Run:
    one = devices.choose("jit", jax.devices()[:1])
    settings = {"log_every": 2, "save_every": 4, **fields}
    return Run(workdir, jax.random.PRNGKey(0), one, Writer(workdir), **settings)


def stage_of(steps: int, *hooks: Hook, noise: float = 0.1) -> Stage:
    return Stage("train", toy.regression(noise), toy.Numbers, steps, hooks)


def train(workdir: Path, steps: int, *hooks: Hook, **fields) -> TrainState:
    return devices.to_host(loop.train(Experiment((stage_of(steps, *hooks),)), run_of(workdir, **fields)))


def test_learns_and_writes_every_window(tmp_path: Path):
    state = train(tmp_path, 40)
    np.testing.assert_allclose(state.params["w"], [1, -2, 3], atol=0.2)
    *rows, last = read_metrics(tmp_path / "metrics.jsonl")
    assert [r["step"] for r in rows] == list(range(2, 41, 2))
    assert last["time/train_seconds"] > 0
    assert rows[0]["train/loss"] > rows[-1]["train/loss"]


def test_the_step_is_traced_once(tmp_path: Path):
    toy.TRACES.clear()
    train(tmp_path, 12)
    assert len(toy.TRACES) == 1


def test_resumed_run_equals_an_uninterrupted_one(tmp_path: Path):
    straight = train(tmp_path / "a", 10)
    stage, run = stage_of(10), run_of(tmp_path / "b", save_every=3)

    def stop_at_6(predict, state):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop.run_stage(stage._replace(hooks=(Hook("stop", 7, stop_at_6),)), run, {})
    assert Checkpoints(tmp_path / "b" / "checkpoints" / "train").steps() == [3, 6]
    resumed = devices.to_host(loop.run_stage(stage, run, {}))
    chex.assert_trees_all_equal(straight, resumed)
    rows = read_metrics(tmp_path / "b" / "metrics.jsonl")
    steps = [r["step"] for r in rows if "train/loss" in r]
    assert steps == sorted(set(steps)) and steps[-1] == 10  # what was written of step 7 before the stop is taken back


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_finishes_the_step_saves_and_says_so(tmp_path: Path, number: int):
    hook = Hook("kill", 5, lambda predict, state: os.kill(os.getpid(), number) or {})
    with pytest.raises(Interrupted, match="stopped at step 5 of 20"):
        train(tmp_path, 20, hook)
    assert Checkpoints(tmp_path / "checkpoints" / "train").steps() == [4, 5]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def figures(workdir: Path) -> list[dict]:
    """The rows of metrics.jsonl without times."""
    rows = read_metrics(workdir / "metrics.jsonl")
    return [{k: v for k, v in row.items() if k != "time" and not k.startswith("time/")} for row in rows]


class Stops:
    """A hook that is interrupted the first time at each of some steps."""

    def __init__(self, *steps: int):
        self.left = set(steps)

    def __call__(self, predict, state):
        step = int(state.step)
        if step in self.left:
            self.left.remove(step)
            os.kill(os.getpid(), signal.SIGTERM)
            raise AssertionError("goes on after the signal")
        return {"val/score": float(np.sin(step)), "picture": np.full((4, 4, 3), step, np.uint8)}


@pytest.mark.parametrize(("save_every", "stops"), [(100, ()), (4, (3, 6, 9)), (3, (9, 11)), (1, (3, 6, 9, 11))])
def test_rows_are_those_of_an_uninterrupted_run(tmp_path: Path, save_every: int, stops: tuple[int, ...]):
    settings = {"log_every": 4, "save_every": save_every}

    def until_done(workdir: Path, score: Stops) -> None:
        experiment = Experiment((stage_of(11, Hook("score", 3, score)),), best="val/score")
        while score.left:
            with pytest.raises(Interrupted):
                loop.train(experiment, run_of(workdir, **settings))
        loop.train(experiment, run_of(workdir, **settings))

    until_done(tmp_path / "straight", Stops())
    until_done(tmp_path / "stopped", Stops(*stops))
    assert figures(tmp_path / "stopped") == figures(tmp_path / "straight")
    assert [row["step"] for row in figures(tmp_path / "straight")] == [3, 4, 6, 8, 9, 11, 11, 11]
    best = [Checkpoints(tmp_path / name / "checkpoints" / "train-best").steps() for name in ("straight", "stopped")]
    assert best == [[9], [9]]


def test_rows_of_what_is_made_come_once(tmp_path: Path):
    def make(predict, state, say):
        return state, {"made/rows": 5.0}

    def stopped(predict, state):
        raise KeyboardInterrupt

    def run(hook) -> None:
        loop.run_stage(made_stage(make, Hook("look", 0, hook)), run_of(tmp_path), {})

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            run(stopped)
    run(lambda predict, state: {"val/x": 1.0})
    assert figures(tmp_path) == [
        {"stage": "made", "step": 0, "made/rows": 5.0},
        {"stage": "made", "step": 0, "val/x": 1.0},
    ]


def test_a_state_is_saved_when_the_best_before_it_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    order: list[str] = []
    wait, save = Checkpoints.wait, Checkpoints.save
    monkeypatch.setattr(Checkpoints, "wait", lambda self: order.append(f"wait {self.directory.name}") or wait(self))
    monkeypatch.setattr(
        Checkpoints, "save", lambda self, *a: order.append(f"save {self.directory.name}") or save(self, *a)
    )
    score = Hook("score", 4, lambda predict, state: {"val/score": 1.0})
    loop.train(Experiment((stage_of(5, score),), best="val/score"), run_of(tmp_path))
    assert order[order.index("save train-best") :][1:3] == ["wait train-best", "save train"]


def test_a_run_that_is_not_finished_does_not_say_so(tmp_path: Path):
    """The last checkpoint was damaged after the end: what comes after the one before is done again, with its end."""
    train(tmp_path, 10, save_every=4)
    before = figures(tmp_path)
    for path in (tmp_path / "checkpoints" / "train" / "10").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    train(tmp_path, 10, save_every=4)
    assert figures(tmp_path) == before


def test_a_non_finite_metric_stops_the_run_and_saves_nothing_after_it(tmp_path: Path):
    class Poisoned(toy.Numbers):
        def __next__(self):
            batch = super().__next__()
            return {**batch, "y": batch["y"] * np.float32(np.nan if self.position == 6 else 1)}

    stage = stage_of(20)._replace(data=Poisoned)
    with pytest.raises(ValueError, match="step 6: train/loss is nan"):
        loop.run_stage(stage, run_of(tmp_path), {})
    assert Checkpoints(tmp_path / "checkpoints" / "train").steps() == [4]


def test_hooks_run_when_due_and_at_the_end_and_the_best_state_is_kept(tmp_path: Path):
    scores = iter([1.0, 3.0, 2.0])
    seen: list[int] = []

    def score(predict, state):
        seen.append(int(state.step))
        return {"val/score": next(scores), "picture": np.zeros((4, 4, 3), np.uint8)}

    experiment = Experiment((stage_of(12, Hook("score", 5, score)),), best="val/score")
    loop.train(experiment, run_of(tmp_path))
    assert seen == [5, 10, 12]
    assert Checkpoints(tmp_path / "checkpoints" / "train-best").steps() == [10]
    assert sorted(p.name for p in (tmp_path / "images").iterdir()) == [f"picture-{s:06d}.png" for s in seen]
    assert [r["val/score"] for r in read_metrics(tmp_path / "metrics.jsonl") if "val/score" in r] == [1, 3, 2]


def test_finished_is_said_only_when_the_best_checkpoint_is_on_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    waited: list[tuple[str, bool]] = []
    wait = Checkpoints.wait

    def noted(self: Checkpoints) -> None:
        wait(self)
        waited.append((self.directory.name, (tmp_path / "checkpoints" / "train" / "finished").exists()))

    monkeypatch.setattr(Checkpoints, "wait", noted)
    score = Hook("score", 0, lambda predict, state: {"val/score": 1.0})
    loop.train(Experiment((stage_of(4, score),), best="val/score"), run_of(tmp_path))
    assert {name for name, finished in waited if not finished} == {"train", "train-best"}
    assert (tmp_path / "checkpoints" / "train" / "finished").exists()


def test_a_finished_run_is_left_alone(tmp_path: Path):
    looks: list[int] = []
    hook = Hook("look", 0, lambda predict, state: looks.append(1) or {})
    first = train(tmp_path, 6, hook)
    second = train(tmp_path, 6, hook)
    chex.assert_trees_all_equal(first, second)
    assert looks == [1]


def test_a_stage_starts_from_an_earlier_one(tmp_path: Path):
    def double(state: TrainState, finished):
        return state.replace(params=jax.tree.map(lambda w: 2 * w, finished["train"].params))

    second = Stage("second", toy.regression(), toy.Numbers, 0, warm_start=double)
    first = stage_of(3)
    state = loop.train(Experiment((first, second)), run_of(tmp_path))
    alone = train(tmp_path / "alone", 3)
    np.testing.assert_allclose(state.params["w"], 2 * alone.params["w"], rtol=1e-6)


def test_the_seconds_of_a_stopped_run_count_and_those_of_hooks_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Slow(toy.Numbers):
        def __next__(self):
            now[0] += 1.0
            return super().__next__()

    def look(predict, state):
        now[0] += 100.0
        return {}

    def stop(predict, state):
        os.kill(os.getpid(), signal.SIGTERM)
        return look(predict, state)

    now = [0.0]
    monkeypatch.setattr(loop.time, "monotonic", lambda: now[0])
    stage = stage_of(10)._replace(data=Slow)
    with pytest.raises(Interrupted):
        loop.run_stage(stage._replace(hooks=(Hook("stop", 6, stop),)), run_of(tmp_path), {})
    loop.run_stage(stage._replace(hooks=(Hook("look", 2, look),)), run_of(tmp_path), {})
    assert read_metrics(tmp_path / "metrics.jsonl")[-1]["time/train_seconds"] == 10.0


def made_stage(make, *hooks: Hook) -> Stage:
    return Stage("made", toy.regression(), toy.Numbers, 0, hooks, make=make)


def test_a_stage_without_steps_makes_its_state_once_and_it_is_saved(tmp_path: Path):
    calls: list[str] = []

    def make(predict, state, say):
        calls.append("make")
        say("half way")
        assert predict(state, next(toy.Numbers(0, 1)))["y"].shape == (8,)
        return state.replace(params={"w": np.array([1.0, -2.0, 3.0], np.float32)}), {"made/rows": 5.0}

    look = Hook("look", 0, lambda predict, state: calls.append("look") or {"val/w": float(state.params["w"][2])})
    for _ in range(2):
        state = loop.train(Experiment((stage_of(3), made_stage(make, look))), run_of(tmp_path))
    assert calls == ["make", "look"] and state.params["w"].tolist() == [1, -2, 3]
    made, looked = [r for r in read_metrics(tmp_path / "metrics.jsonl") if r["stage"] == "made"]
    assert made["made/rows"] == 5.0 and made["time/made_seconds"] >= 0 and looked["val/w"] == 3.0
    _, restored = restore(made_stage(make), run_of(tmp_path), next(toy.Numbers(0, 1)))
    assert restored.params["w"].tolist() == [1, -2, 3]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_what_is_made_at_once(tmp_path: Path, number: int):
    def make(predict, state, say):
        (tmp_path / "part").write_text("whole")
        os.kill(os.getpid(), number)
        raise AssertionError("goes on after the signal")

    with pytest.raises(Interrupted, match="stopped in stage made; the same command goes on"):
        loop.run_stage(made_stage(make), run_of(tmp_path), {})
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    state = loop.run_stage(made_stage(lambda p, s, say: (s, {})), run_of(tmp_path), {})
    assert int(state.step) == 0 and Checkpoints(tmp_path / "checkpoints" / "made").steps() == [0]


def test_imported_weights_begin_the_stages_that_learn_only(tmp_path: Path):
    begun = []
    run = run_of(tmp_path, initial=lambda state: begun.append(1) or state)
    loop.train(Experiment((stage_of(2), made_stage(lambda p, s, say: (s, {})))), run)
    assert begun == [1]


def test_an_unreadable_checkpoint_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    straight = train(tmp_path / "a", 10, save_every=3)
    with pytest.raises(Interrupted):
        train(
            tmp_path / "b", 10, Hook("kill", 7, lambda p, s: os.kill(os.getpid(), signal.SIGTERM) or {}), save_every=3
        )
    for path in (tmp_path / "b" / "checkpoints" / "train" / "7").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    resumed = train(tmp_path / "b", 10, save_every=3)
    assert "7 cannot be read" in caplog.text
    chex.assert_trees_all_equal(straight, resumed)


def test_config_free_json_lines(tmp_path: Path):
    train(tmp_path, 4)
    for line in (tmp_path / "metrics.jsonl").read_text().splitlines():
        assert {"stage", "step", "time"} <= json.loads(line).keys()


def test_a_training_that_stalls_ends_if_that_is_asked_for(tmp_path: Path):
    values = iter([0.1, 0.5, 0.4, 0.4, 0.9, 0.9, 0.9])
    hook = Hook("score", 2, lambda predict, state: {"val/score": next(values)})
    experiment = Experiment((stage_of(20, hook),), best="val/score")
    state = loop.train(experiment, run_of(tmp_path, stop_after=2))
    assert int(state.step) == 8  # 0.4 and 0.4 after 0.5, and once more at the end
    assert (tmp_path / "checkpoints" / "train" / "finished").exists()
    assert int(loop.train(experiment, run_of(tmp_path, stop_after=2)).step) == 8  # it stays so
