"""`--init_from=` by name."""

from pathlib import Path

import pytest

from jaxvision.weights import load
from tests.weights.hed_test import write


def test_a_file_by_its_kind(tmp_path: Path):
    assert len(load.load(f"hed:{write(tmp_path / 'hed.h5')}").variables["params"]) == 13


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("weights.h5", "write it like torchvision:FILE"),
        ("hed:", "write it like"),
        ("hed:/nowhere.h5", "no such file"),
        ("darknet:.", "--init_from=darknet:.: a folder, not a file of weights"),
        ("workdir:/", "no config.json there"),
    ],
)
def test_a_mistake_is_named(spec: str, message: str):
    with pytest.raises(ValueError, match=message):
        load.load(spec)
