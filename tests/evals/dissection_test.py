"""In a world of planted units: IoU 1, causal effects, ablation against random units, and the report of it all."""

import json
from functools import cache, partial

import jax
import numpy as np
import optax
import pytest

from jaxvision.evals.dissection import (
    Subject,
    areas,
    best,
    causal_effects,
    dissect,
    effects_table,
    figures,
    remove_artefacts,
    under,
)
from jaxvision.evals.unit_iou import unit_iou
from jaxvision.ops.interventions import chosen
from jaxvision.tasks.dissection import dissection, values
from jaxvision.train import devices, hooks
from jaxvision.viz.dissection import as_json, page
from tests.tasks.planted import LAYER, NAMES, NETWORKS, PLANTED, UNITS, batch_of
from tests.tasks.training import ONE, train


class Three:
    """Twenty images in three batches of 8, the last padded; of two processes each has every second batch."""

    def __init__(self, shard: int, shards: int):
        self.batches = iter([{**batch_of(seed=i), "_mask": np.arange(8) < (8, 8, 4)[i]} for i in range(3)])

    def __iter__(self):
        return self.batches

    def __next__(self):
        return next(self.batches)

    def close(self) -> None:
        pass


@cache
def subject(where=ONE) -> Subject:
    task = dissection(NETWORKS, optax.adam(0.05), layer=LAYER, concepts=(1, 2, 3), l2=0.05)
    state = train(task, batch_of(), 40)[0]
    look = partial(hooks.evaluate, data=Three, name="val")
    alpha, k = np.asarray(state.params["alpha"]), np.asarray(values(state))
    predict = devices.compile_predict(task, where)
    return Subject(look, predict, devices.place(state, where), NAMES, (1, 2, 3), alpha, k, patch=1)


@cache
def report():
    return dissect(subject(), batch_of(), LAYER, units=1, seeds=3)


def test_planted_units_have_iou_1_with_their_concepts():
    s = subject()
    table = s.evaluate((unit_iou(NAMES),)).run(s.predict, s.state)["val/agreement"]
    for concept, unit in enumerate(PLANTED, start=1):
        assert table.iou[unit, concept] == 1.0 and table.iou[:, concept].argmax() == unit
        assert np.delete(table.iou[:, concept], unit).max() < 0.3
        assert table.information[unit, concept] == pytest.approx(1.0)


def test_ablation_removes_the_concept_and_no_other():
    s = subject()
    sets = {str(unit): (unit,) for unit in range(UNITS)} | {"none": (), "all": PLANTED}
    left = areas(s, sets, (8, 8))
    assert left["none"][0] == pytest.approx(1 - 3 / 16) and left["all"][1:].max() == 0
    for unit in range(UNITS):
        expected = [0.0 if c < 3 and PLANTED[c] == unit else 1 / 16 for c in range(3)]
        np.testing.assert_allclose(left[str(unit)][1:], expected, atol=1e-6)


def test_causal_effect_ranks_the_planted_unit_first():
    for c, unit in enumerate(PLANTED):
        effects = causal_effects(subject(), c, {str(u): (u,) for u in range(UNITS)})
        assert max(effects, key=effects.__getitem__) == str(unit) and effects[str(unit)] > 0.85
        assert max(v for name, v in effects.items() if name != str(unit)) < 0.1


def test_figures_are_the_same_on_several_devices():
    many = subject(devices.choose("pmap", jax.devices()))
    assert causal_effects(many, 0, {"a": PLANTED[:1]}) == pytest.approx(
        causal_effects(subject(), 0, {"a": PLANTED[:1]})
    )


def test_under_gives_every_row_its_intervention():
    seen = {}
    alpha, k = chosen((1,), 3), np.arange(3.0)
    under(lambda state, batch: seen.update(batch), alpha, k, np.ones((1, 2, 2)))(subject().state, batch_of(4))
    assert seen["where"].shape == (4, 2, 2) and set(seen) == {"z", "_mask", "alpha", "values", "where"}
    np.testing.assert_array_equal(seen["alpha"], [[0, 1, 0]] * 4)
    np.testing.assert_array_equal(seen["values"], [[0, 1, 2]] * 4)
    assert seen["where"].dtype == seen["values"].dtype == np.float32


def test_artefacts_are_removed_while_it_helps():
    gains = {0: -3.0, 1: 1.0, 2: -2.0, 3: 0.0, 4: -1.0}

    def score(units) -> float:
        return 10.0 + sum(gains[u] for u in units) + (5.0 if {0, 2} <= set(units) else 0.0)

    assert remove_artefacts(score, range(5), most=4) == ((0, 4), (10.0, 7.0, 6.0))
    assert remove_artefacts(score, range(5), most=1) == ((0,), (10.0, 7.0))
    assert remove_artefacts(score, (1, 3), most=3) == ((), (10.0,))


def test_best_of_equals_is_the_lower_number():
    assert best(np.array([0.5, 0.9, 0.5, 0.9]), 3) == (1, 3, 0)


def test_the_report():
    found = report()
    assert found.images == 20 and [u.number for u in found.units[:3]] == [2, 5, 7]
    assert [(u.concept, u.iou) for u in found.units[:3]] == [(name, 1.0) for name in NAMES[1:]]
    assert not any(u.concept for u in found.units[3:]) and found.units[3].iou > 0.05  # by the concept's area alone
    for concept, unit in zip(found.concepts, PLANTED, strict=True):
        assert concept.by_alpha[0][0] == concept.by_iou[0][0] == unit
        assert set(concept.effects) == {"alpha", "iou", "random 0", "random 1", "random 2"}
        assert concept.effects["alpha"].units == (unit,) and concept.effects["alpha"].area_after == 0
        assert concept.effects["alpha"].area_before == pytest.approx(1 / 16)
    numbers = figures(found)
    assert numbers["area_left_alpha"] == 0 and numbers["effect_alpha"] > 0.85 and numbers["area_left_random"] > 0.5
    assert numbers["effect_random"] < numbers["effect_alpha"] and all(type(v) is float for v in numbers.values())
    least = [min(e.area_after / e.area_before for n, e in c.effects.items() if "random" in n) for c in found.concepts]
    assert numbers["area_left_random_least"] == pytest.approx(np.mean(least))
    lines = effects_table(found).splitlines()
    cells = [cell.strip() for cell in lines[2].split("|")[1:4]]
    assert len(lines) == 2 + 3 * 5 and cells == ["red, alpha", "6.25%", "0.0%"]


def test_the_report_is_one_page_and_json():
    assert json.loads(as_json(report()))["concepts"][2]["effects"]["iou"]["units"] == [7]
    text = page(report())
    assert text.count("data:image/png") == 1 + 3 + UNITS and "http" not in text
