"""Imported weights come into the place of those that would be drawn."""

import numpy as np

from jaxvision.run.network import start_from, variables_in_use
from jaxvision.train.types import TrainState
from jaxvision.weights.imported import Imported


def test_imported_weights_are_also_where_averages_begin():
    params = {"trunk": {"a": {"kernel": np.zeros((2, 3), np.float32)}}, "head": {"bias": np.zeros(3, np.float32)}}
    state = TrainState(0, params, {}, {}, {"average": params, "queue": np.zeros((4, 2))}, np.zeros(2, np.uint32))
    found = {"params": {"a": {"kernel": np.ones((2, 3), np.float32)}}}
    lines: list[str] = []
    begun = start_from(Imported(found, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), "some.file"), lines.append, state)
    assert lines == [
        "some.file: 6 parameters taken, of 6 in the file and 9 in the network; 1 layer in trunk: a; new: head"
    ]
    assert begun.params["trunk"]["a"]["kernel"].min() == 1 == begun.aux["average"]["trunk"]["a"]["kernel"].min()
    assert begun.params["head"]["bias"].max() == 0 and begun.aux["queue"].shape == (4, 2)


def generator_state(value: float, average: float) -> TrainState:
    """A GAN's state, as far as its generator is averaged."""

    def part(number: float) -> dict:
        return {"project": {"kernel": np.full((2, 3), number, np.float32)}}

    params = {"generator": part(value), "discriminator": {"score": {"bias": np.zeros(1, np.float32)}}}
    statistics = {"generator": {"batch_stats": part(value)}, "discriminator": {}}
    aux = {"average": part(average), "average_state": {"batch_stats": part(average)}, "recent": np.zeros(2)}
    return TrainState(0, params, {}, statistics, aux, np.zeros(2, np.uint32))


def test_a_run_in_a_file_gives_its_average_to_all_that_is_averaged():
    kept = variables_in_use(generator_state(1.0, 2.0))
    assert kept["params"]["generator"]["project"]["kernel"].max() == 2
    assert kept["generator"]["batch_stats"]["project"]["kernel"].max() == 2 and kept["discriminator"] == {}
    assert kept["params"]["discriminator"]["score"]["bias"].shape == (1,)
    lines: list[str] = []
    imported = Imported(kept, None, None, "some.file", "gan/dcgan", run={"experiment": "gan/dcgan"})
    begun = start_from(imported, lines.append, generator_state(5.0, 6.0))
    for tree in (begun.params["generator"], begun.aux["average"], begun.aux["average_state"]["batch_stats"]):
        assert tree["project"]["kernel"].max() == 2
    assert begun.aux["recent"].shape == (2,) and "7 parameters taken" in lines[0]


def test_averages_of_all_parameters_stand_for_them():
    params = {"fc": {"kernel": np.ones((2, 2), np.float32)}}
    average = {"fc": {"kernel": np.zeros((2, 2), np.float32)}}
    state = TrainState(0, params, {}, {"batch_stats": {}}, {"average": average}, np.zeros(2, np.uint32))
    assert variables_in_use(state) == {"params": average, "batch_stats": {}}


def test_a_stage_of_another_network_begins_with_its_own_weights():
    judge = TrainState(0, {"conv1": {"kernel": np.ones(3)}}, {}, {}, {}, np.zeros(2, np.uint32))
    lines: list[str] = []
    kept = Imported({"params": {"generator": {}}}, None, None, "some.file", run={"experiment": "gan/dcgan"})
    assert start_from(kept, lines.append, judge) is judge
    assert lines == ["some.file: has no layer of this stage, which begins with random weights"]
