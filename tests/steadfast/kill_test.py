"""A run that is killed again and again ends as one that was not: leaves, pictures and rows.

The short form kills a toy GAN 4 times, the long one a classifier 4 times, the exhaustive one five experiments 20 times
each.
"""

from pathlib import Path

import pytest

from tests.steadfast.killing import COMMANDS, Server, killed_and_finished

EXHAUSTIVE = pytest.mark.exhaustive


@pytest.mark.parametrize(
    ("name", "kills"),
    [
        ("toy", 4),
        pytest.param("classification", 4, marks=pytest.mark.long),
        *(pytest.param(name, 20, marks=EXHAUSTIVE) for name in COMMANDS if name != "toy"),
    ],
)
def test_nothing_but_times_differs(server: Server, tmp_path: Path, name: str, kills: int):
    assert killed_and_finished(server, COMMANDS[name], tmp_path, kills, seed=len(name)) == []
