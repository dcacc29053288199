"""The flags that every experiment has."""

import dataclasses

import pytest

from jaxvision.run import config
from jaxvision.run.request import Flags


@pytest.mark.parametrize("name", ["log_every", "save_every", "keep", "num_processes"])
def test_a_number_that_is_too_small_is_named(name: str):
    with pytest.raises(ValueError, match=f"--{name}=0: should be 1 or more"):
        Flags(**{name: 0})
    with pytest.raises(ValueError, match="--workers=-1: should be 0 or more"):
        Flags(workers=-1)


def test_every_flag_has_a_help_of_its_own():
    texts = [text for *_, text in config._fields(Flags())]
    assert len(texts) == len(set(texts)) == len(dataclasses.fields(Flags)) and all(texts)
