"""A run that is killed again and again ends as one that was not: leaves, pictures and rows.

The short form kills a toy GAN 4 times, the long one a classifier 4 times, the exhaustive one five experiments 20 times
each.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.steadfast.killing import Server, killed_and_finished

SMOKE = ["--smoke", "--log_every=3", "--save_every=2"]
COMMANDS = {
    "toy": ["--experiment=gan/toy", "--steps=9", "--eval_every=4", *SMOKE],
    "classification": ["--experiment=classification/resnet", "--steps=11", "--eval_every=4", *SMOKE],
    "gan": ["--experiment=gan/dcgan", "--steps=9", "--eval_every=4", *SMOKE],
    "moco": ["--experiment=ssl/moco", "--steps=9", "--eval_every=4", *SMOKE],
    "yolo": ["--experiment=detection/yolo", "--steps=9", "--eval_every=4", *SMOKE],
    "rcnn": ["--experiment=detection/rcnn", "--steps=7", *SMOKE],
}
EXHAUSTIVE = pytest.mark.exhaustive


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = Server(tmp_path_factory.mktemp("server") / "log")
    yield started
    started.close()


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
