"""Variants are trained one after the other, apart or after a stop, and what is told of them is the same."""

import dataclasses
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

from jaxvision.data.inputs import Inputs
from jaxvision.recipes.comparison import chosen, compare, seeded, variant
from jaxvision.recipes.comparison_table import Comparison, Measure
from jaxvision.train import loop
from jaxvision.train.devices import choose
from jaxvision.train.restore import Run
from jaxvision.train.steps import nothing
from jaxvision.train.types import Experiment, Hook, Predict, Result, Stage, TrainState
from jaxvision.train.writer import Writer, read_metrics
from tests.train import toy

TASK = toy.regression()


@dataclasses.dataclass(frozen=True)
class Inner:
    lr: float


@dataclasses.dataclass(frozen=True)
class Settings:
    optimizer: Inner
    depth: int


class Killed(BaseException):
    """Nothing but the operating system cleans up behind it."""


class Variants(NamedTuple):
    """Two variants of one task, which count how often each of their runs was measured."""

    measured: list[str]
    fail: str = ""  # the run in which the machine goes down

    def builds(self) -> dict[str, Any]:
        return {name: lambda inputs, name=name: self._built(name, inputs) for name in ("plain", "residual")}

    def _built(self, name: str, inputs: Inputs) -> Experiment:
        def look(predict: Predict, state: TrainState) -> Result:
            if inputs.run == self.fail:
                raise Killed
            self.measured.append(inputs.run)
            return {"val/accuracy": 0.5 + inputs.seed / 100, "drawn": np.zeros((1, 1, 3), np.uint8), "note": "words"}

        search = Stage("search", nothing(), None, 0, make=lambda predict, state, say: (state, {"val/found": 1.0}))
        return Experiment((search, Stage("train", TASK, toy.Numbers, 2, (Hook("look", 0, look),))))


COMPARISON = Comparison("Toys", "toy", (Measure("val/accuracy", "accuracy", "accuracy"),), curves=("train/loss",))


def experiment(workdir: Path, variants: Variants, seeds: int = 2, only: tuple[str, ...] = ()) -> Experiment:
    return compare(variants.builds(), Inputs(seed=7, workdir=workdir, only=only), seeds, COMPARISON, shared=("search",))


def run(workdir: Path, variants: Variants, **settings: Any) -> None:
    where = Run(workdir, jax.random.PRNGKey(0), choose("jit"), Writer(workdir), log_every=1)
    loop.train(experiment(workdir, variants, **settings), where)


def test_every_variant_has_every_seed_and_the_shared_stage_is_done_once():
    names = [stage.name for stage in experiment(Path(), Variants([])).stages]
    assert names == ["search", *(f"{v}-{n}-train" for v in ("plain", "residual") for n in (0, 1)), "comparison"]
    some = experiment(Path(), Variants([]), only=("residual",))
    assert [s.name for s in some.stages] == ["search", "residual-0-train", "residual-1-train", "comparison-residual"]
    assert some.compares == ("plain", "residual")


def test_a_variant_that_does_not_exist_and_no_seed_are_named():
    with pytest.raises(ValueError, match="--only: there is no deep; known are plain, residual"):
        experiment(Path(), Variants([]), only=("deep",))
    with pytest.raises(ValueError, match="--seeds=0: should be 1 or more"):
        experiment(Path(), Variants([]), seeds=0)


def test_a_variant_is_a_line_of_changed_settings():
    module = ModuleType("experiment")
    module.build = lambda config, inputs: config
    config = Settings(Inner(0.1), 18)
    assert variant(module, config, depth=34, optimizer__lr=0.5)(Inputs()) == Settings(Inner(0.5), 34)
    with pytest.raises(ValueError, match="no such setting: deep"):
        variant(module, config, deep=34)


def test_a_flag_chooses_variants_in_its_order():
    assert list(chosen("--kinds", ("b", "a"), {"a": 1, "b": 2, "c": 3})) == ["b", "a"]
    with pytest.raises(ValueError, match="--kinds: there is no d; known are a, b"):
        chosen("--kinds", ("a", "d"), {"a": 1, "b": 2})


def test_seeds_share_a_step_and_differ_in_weights():
    other = seeded(TASK, 1)
    assert other.step is TASK.step and seeded(TASK, 0) is TASK
    batch = next(toy.Numbers(0, 1))
    first, second = (task.init(jax.random.PRNGKey(0), batch).params["w"] for task in (TASK, other))
    assert np.any(first != second)


def test_folders_are_a_run_s_own_unless_they_are_shared(tmp_path: Path):
    own = Inputs(workdir=tmp_path, run="rcnn-1", shared=("proposals",))
    assert own.folder("features") == tmp_path / "artefacts" / "rcnn-1-features"
    assert own.folder("proposals") == tmp_path / "artefacts" / "proposals"
    assert own.alone() == Inputs()


def test_stopped_anywhere_or_in_parts_it_says_the_same_and_repeats_nothing(tmp_path: Path):
    straight = Variants([])
    run(tmp_path / "straight", straight)
    assert straight.measured == ["plain-0", "plain-1", "residual-0", "residual-1"]
    rows = read_metrics(tmp_path / "straight" / "metrics.jsonl")
    assert rows[-1]["plain/accuracy"] == pytest.approx(0.575) and rows[-1]["stage"] == "comparison"
    assert (tmp_path / "straight" / "plain-1_note.md").exists()
    assert (tmp_path / "straight" / "images" / "residual-0_drawn-000002.png").exists()

    measured: list[str] = []
    with pytest.raises(Killed):
        run(tmp_path / "stopped", Variants(measured, fail="residual-0"))
    run(tmp_path / "stopped", Variants(measured))
    run(tmp_path / "stopped", Variants(measured))  # there is nothing more to do
    run(tmp_path / "parts", Variants(measured), only=("residual",))
    run(tmp_path / "parts", Variants(measured), only=("plain",))
    run(tmp_path / "parts", Variants(measured))
    parts = ["residual-0", "residual-1", "plain-0", "plain-1"]
    assert measured == [*straight.measured, *parts]
    tables = [accuracies(tmp_path / name / "comparison.md") for name in ("straight", "stopped", "parts")]
    assert tables[0] == tables[1] == tables[2] == {"plain": "0.5750 ± 0.0071", "residual": "0.5750 ± 0.0071 ≈"}


def accuracies(path: Path) -> dict[str, str]:
    """Return the first cell of each variant's row."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in path.read_text().splitlines()]
    return {row[0]: row[1] for row in rows if row[0] in ("plain", "residual")}


def test_the_last_stage_may_have_networks_and_hooks_of_its_own(tmp_path: Path):
    ends: dict[str, str] = {}

    def last(found: Any) -> Stage:
        ends.update(found)
        return Stage("", nothing(), None, 0, (Hook("drawn", 0, lambda predict, state: {}),))

    built = compare(Variants([]).builds(), Inputs(workdir=tmp_path), 2, COMPARISON, last=last)
    assert ends == {"plain": "plain-0-train", "residual": "residual-0-train"}
    assert [hook.name for hook in built.stages[-1].hooks] == ["comparison", "drawn"]
