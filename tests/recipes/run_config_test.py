"""The fields that every experiment has."""

import dataclasses

import pytest

import launch

SHARED = {"data", "batch_size", "steps"}


@pytest.mark.parametrize("name", launch.experiments())
def test_every_experiment_has_the_fields_of_a_run(name: str):
    assert {field.name for field in dataclasses.fields(launch.load(name).Config)} >= SHARED
