"""What a plan says of a step: sizes, what is sent, and whether it fits."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import jax
import pytest

from experiments.classification import resnet
from jaxvision.run import plan
from jaxvision.run.program import trace
from jaxvision.run.request import Flags, Request
from jaxvision.train.types import Experiment, Stage
from tests.train.toy import Numbers, regression

STAGE = Stage("train", regression(), Numbers, 3)


def planned(flags: Flags, *stages: Stage) -> str:
    module: Any = SimpleNamespace(build=lambda config, inputs: Experiment(stages))
    return plan.text(Request("area/name", None, flags, ""), module)


def test_a_stage_has_its_sizes_and_what_a_step_sends():
    made = plan.plan_of(STAGE, 4)
    assert (made.rows, made.devices, made.parameters, made.parameter_bytes) == (8, 4, 3, 12)
    assert made.state == 12 + 12 + 4 + 8 and made.batch == 2 * (3 + 1) * 4  # velocity, step and key
    assert made.sent == {"all_reduce": 16} and not made.compiled and 0 < made.values < 500
    assert plan.plan_of(STAGE, 3).devices == 1


def test_the_text_says_whether_it_fits_and_what_to_do():
    text = planned(Flags(devices=4), STAGE)
    assert "stage train: a batch of 8 on 4 devices" in text and "all-reduce 0.0 MB (1.33 × parameters)" in text
    assert "of 80 GB: fits" in text and "to make it fit" not in text
    assert "on 1 devices, of 3, by which it does not divide" in planned(Flags(devices=3), STAGE)
    assert "no stage takes training steps" in planned(Flags(), STAGE._replace(steps=0))


def test_what_does_not_fit_has_remedies(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(plan, "traced_bytes", lambda program: 10**12)
    assert "1000 GB of 80 GB: does not fit" in (text := planned(Flags(), STAGE))
    assert "--precision=bfloat16; remat" in text and "--optimizer.accumulate" in text
    assert "--precision" not in planned(Flags(precision="bfloat16"), STAGE).split("to make it fit")[1]


def test_a_compiler_knows_better():
    task = regression()
    assert plan.compiled_bytes(task, trace(task, next(Numbers(0, 1)))) >= 0


def test_a_paper_preset_is_planned_without_its_data():
    config = dataclasses.replace(resnet.PRESETS["paper"], depth=10, width=1 / 64, image_size=32, batch_size=8)
    text = plan.text(Request("classification/resnet", config, Flags(), ""), resnet)
    assert "a batch of 8 on 8 devices" in text and "million" in text


def test_a_table_has_a_row_for_each_stage(monkeypatch: pytest.MonkeyPatch):
    module: Any = SimpleNamespace(
        PRESETS={"paper": None}, build=lambda config, inputs: Experiment((STAGE, STAGE._replace(name="again")))
    )
    monkeypatch.setattr(plan, "experiments", lambda: ["area/name"])
    monkeypatch.setattr(plan, "load", lambda name: module)
    head, line, row = plan.table("paper", 8, 80.0).splitlines()
    assert row.startswith("| `area/name`, train | 8 | 8 | 0.0 M |") and row.endswith("| both |")
    assert head.count("|") == line.count("|") == row.count("|")
    with pytest.raises(ValueError, match="--preset=papre: no experiment has a preset of this name"):
        plan.table("papre", 8, 80.0)
    jax.clear_caches()
