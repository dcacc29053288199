"""Experiments are found by name, without being imported."""

from types import ModuleType

import pytest

from jaxvision.run.experiments import experiments, listing, load, preset


def test_every_experiment_is_listed_with_its_first_line():
    lines = listing().splitlines()
    assert [line.split()[0] for line in lines] == experiments()
    assert "classification/resnet" in experiments() and not any("/_" in name for name in experiments())
    assert all(len(line.split()) > 2 for line in lines)


def test_a_wrong_name_suggests_the_nearest():
    with pytest.raises(ValueError, match="did you mean gan/dcgan?"):
        load("gan/dcgn")
    with pytest.raises(ValueError, match="--list shows them all"):
        load("")


def test_a_preset_that_is_not_there():
    module = ModuleType("experiment")
    module.PRESETS = {"quick": 1, "paper": 2}
    with pytest.raises(ValueError, match="--preset=fast: should be one of quick, paper"):
        preset(module, "fast")
