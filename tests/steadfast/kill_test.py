"""A run that is killed again and again ends as one that was not: leaves, pictures and rows.

A toy GAN and a classifier are killed 4 times each, in the exhaustive form five experiments 20 times each.
"""

from pathlib import Path

import pytest

from tests.steadfast.killing import COMMANDS, Server, killed_and_finished

EXHAUSTIVE = pytest.mark.exhaustive


@pytest.mark.parametrize(
    ("name", "kills"),
    [
        *(pytest.param(name, 4, marks=pytest.mark.long) for name in ("toy", "classification")),
        *(pytest.param(name, 20, marks=EXHAUSTIVE) for name in COMMANDS if name != "toy"),
    ],
)
def test_nothing_but_times_differs(server: Server, tmp_path: Path, name: str, kills: int):
    assert killed_and_finished(server, COMMANDS[name], tmp_path, kills, seed=len(name)) == []
