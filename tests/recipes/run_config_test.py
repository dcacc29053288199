"""The fields that every experiment has."""

import dataclasses

import pytest

import launch
from jaxvision.recipes.run_config import BudgetConfig, RunConfig, SplitConfig
from jaxvision.run import config as flags

SHARED = {field.name for field in dataclasses.fields(BudgetConfig)}


@pytest.mark.parametrize("name", launch.experiments())
def test_every_experiment_has_the_fields_of_a_run(name: str):
    assert {field.name for field in dataclasses.fields(launch.load(name).Config)} >= SHARED


@pytest.mark.parametrize("config", [BudgetConfig(), RunConfig(), SplitConfig()], ids=lambda c: type(c).__name__)
def test_every_field_has_a_help_text(config: BudgetConfig):
    assert all(text for _, _, _, text in flags._fields(config))


def test_a_config_with_splits_has_the_fields_of_a_run():
    assert flags.to_dict(SplitConfig()) == {
        **flags.to_dict(RunConfig()),
        "train_split": "train",
        "val_split": "val",
        "average_decay": 0.0,
    }
