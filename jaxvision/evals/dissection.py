"""Effects of sets of units on the images that a generator draws (Bau et al. 2019, "GAN Dissection"), and a report.

Works with any `predict` that takes interventions in its batch as `tasks.dissection` does. Data is read by a function
`evaluate(metrics)` that makes a hook: `partial(hooks.evaluate, data=data, name=…)`.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float32, UInt32

from jaxvision.evals.means import means
from jaxvision.evals.unit_iou import Agreement, Top, top_images, unit_iou
from jaxvision.ops.interventions import at, chosen, place
from jaxvision.train.types import Batch, Hook, Metric, Predict, PyTree, TrainState
from jaxvision.viz.dissection import Concept, Effect, Report, Unit, before_after, unit_picture
from jaxvision.viz.table import table

Evaluate = Callable[[tuple[Metric, ...]], Hook]
"""Makes a hook that evaluates metrics on the dissected layer's data."""
Sets = Mapping[str, Sequence[int]]
"""Units by the name of the set."""

LABELLED = 0.05
"""Units with a lower IoU have no concept (Bau et al. 2019)."""
INFORMED = 0.01
"""Nor have units with less information: one that is always on has the IoU of the concept's area, and none."""


class Subject(NamedTuple):
    """A dissected layer, with the data and the `predict` by which it is examined."""

    evaluate: Evaluate
    predict: Predict
    state: TrainState
    class_names: Sequence[str]
    concepts: Sequence[int]  # the classes that units are searched for
    alpha: Float[np.ndarray, "C U"]  # strength of the intervention on each unit, for each concept
    values: Float[np.ndarray, "C U"]  # what units are held at to insert a concept
    patch: int  # height and width, in cells, of a square where units are inserted


def under(
    predict: Predict,
    alpha: Float[np.ndarray, " U"],
    values: Float[np.ndarray, " U"],
    where: Float[np.ndarray, "#B h w"],
) -> Predict:
    """Return `predict` of the images that an intervention on the layer's units gives.

    Args:
        predict: a dissection's `predict`.
        alpha: strength of the intervention on each unit, from 0 to 1.
        values: the value that each unit is set to.
        where: mask of the layer's cells, one for each row or one for all.

    Returns:
        A function with the same arguments and outputs as `predict`.
    """

    def edited(state: TrainState, batch: Batch) -> PyTree:
        rows = len(batch["z"])
        every = {name: np.tile(x.astype(np.float32), (rows, 1)) for name, x in (("alpha", alpha), ("values", values))}
        mask = np.broadcast_to(where, (rows, *where.shape[1:])).astype(np.float32)
        return predict(state, {**batch, **every, "where": np.ascontiguousarray(mask)})

    return edited


def areas(subject: Subject, sets: Sets, size: tuple[int, int]) -> dict[str, Float[np.ndarray, " K"]]:
    """Measure each class's share of the pixels with each set of units ablated everywhere.

    Args:
        subject: the dissected layer.
        sets: units by the name of the set.
        size: height and width of the layer.

    Returns:
        By the name of the set the share of each class.
    """
    units = subject.alpha.shape[1]
    everywhere, nothing = np.ones((1, *size)), np.zeros(units)
    result = {}
    for name, members in sets.items():
        predict = under(subject.predict, chosen(members, units), nothing, everywhere)
        result[name] = _look(subject, (means("areas"),), predict)["areas"]
    return result


def causal_effects(subject: Subject, concept: int, sets: Sets) -> dict[str, float]:
    """Measure the average causal effect δ of each set of units on `concepts[concept]`, inserted against ablated.

    An image's place is drawn from its latent, so it is the same for every set, batch and device.

    Args:
        subject: the dissected layer.
        concept: the concept's index in `subject.concepts`.
        sets: units by the name of the set.

    Returns:
        δ by the name of the set.
    """
    predict = partial(_at_places, subject, concept, sets)
    return {name: float(effect) for name, effect in _look(subject, (means(*sets),), predict).items()}


def remove_artefacts(
    score: Callable[[Sequence[int]], float], candidates: Sequence[int], *, most: int
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Choose greedily units whose ablation together lowers a score, such as an FID (section 4.2 chooses them by eye).

    Each candidate is scored alone; those that help are added one after the other, the best first, and kept if the score
    falls.

    Args:
        score: function of the ablated units.
        candidates: units to try.
        most: the largest number of units.

    Returns:
        The units, and the scores: first that of none, then that after each unit.
    """
    scores = [score(())]
    alone = {unit: score((unit,)) for unit in candidates}
    kept: tuple[int, ...] = ()
    for unit in sorted((u for u in alone if alone[u] < scores[0]), key=lambda u: (alone[u], u)):
        if len(kept) == most:
            break
        new = score((*kept, unit)) if kept else alone[unit]
        if new < scores[-1]:
            kept, scores = (*kept, unit), [*scores, new]
    return kept, tuple(scores)


def dissect(subject: Subject, shown: Batch, layer: str, *, units: int = 10, seeds: int = 5) -> Report:
    """Make the report of a layer: the concept that each unit agrees with, and the effects of each concept's best units.

    Args:
        subject: the dissected layer.
        shown: the batch that pictures are drawn from.
        layer: the layer's name.
        units: the number of units of a concept, the best by α and the best by IoU.
        seeds: the number of random sets of as many units, for comparison.

    Returns:
        The report.
    """
    found = _look(subject, (unit_iou(subject.class_names), top_images(), means("areas"), _count()), subject.predict)
    agreement, top, before = found["agreement"], found["top"], found["areas"]
    size, count = (top.maps.shape[2], top.maps.shape[3]), len(agreement.iou)
    random = {f"random {seed}": _random_units(seed, units, count) for seed in range(seeds)}
    after_random = areas(subject, random, size)
    concepts = []
    for c, label in enumerate(subject.concepts):
        sets = {"alpha": best(subject.alpha[c], units), "iou": best(agreement.iou[:, label], units)}
        after = {**areas(subject, sets, size), **after_random}
        effects = causal_effects(subject, c, {**sets, **random})
        concepts.append(
            Concept(
                subject.class_names[label],
                _ranked(subject.alpha[c], units),
                _ranked(agreement.iou[:, label], units),
                {
                    name: Effect(tuple(members), float(before[label]), float(after[name][label]), effects[name])
                    for name, members in {**sets, **random}.items()
                },
                _picture(subject, c, sets["alpha"], shown),
            )
        )
    return Report(layer, found["images"], _units(subject, agreement, top), tuple(concepts))


def figures(report: Report) -> dict[str, float]:
    """Summarise the report in few numbers.

    "units_named" is the number of units with a concept. By kind of units, "alpha", "iou" or "random",
    "area_left_<kind>" is the share of a concept's area that ablation leaves, and "effect_<kind>" the causal effect,
    both as means over concepts. "area_left_random_least" is that of the random set that leaves least of each concept.
    """
    result = {"units_named": float(sum(bool(unit.concept) for unit in report.units))}
    for kind in ("alpha", "iou", "random"):
        sets = [[e for name, e in c.effects.items() if name.split()[0] == kind] for c in report.concepts]
        left = [[e.area_after / e.area_before for e in each if e.area_before > 0] for each in sets]
        result[f"effect_{kind}"] = float(np.mean([e.effect for each in sets for e in each]))
        if any(left):
            result[f"area_left_{kind}"] = float(np.mean([x for each in left for x in each]))
        if kind == "random" and any(left):
            result["area_left_random_least"] = float(np.mean([min(each) for each in left if each]))
    return result


def effects_table(report: Report) -> str:
    """Return a Markdown table of the effects of each set of units on its concept; random sets go by their seeds."""
    rows: dict[str, tuple[str, ...]] = {}
    for concept in report.concepts:
        for name, effect in concept.effects.items():
            left = f"{effect.area_after / effect.area_before:.1%}" if effect.area_before > 0 else "-"
            rows[f"{concept.name}, {name}"] = (f"{effect.area_before:.2%}", left, f"{effect.effect:.3f}")
    return table(("units ablated", "area", "area left", "causal effect"), rows)


def best(scores: Float[np.ndarray, " U"], count: int) -> tuple[int, ...]:
    """Return the units of highest score, of equal ones the lower numbers."""
    return tuple(np.argsort(-scores, kind="stable")[:count].tolist())


def _at_places(subject: Subject, concept: int, sets: Sets, state: TrainState, batch: Batch) -> PyTree:
    label, values = subject.concepts[concept], subject.values[concept]
    presence = jnp.asarray(subject.predict(state, batch)["presence"])[..., label]
    where = place(jnp.asarray(_keys(batch["z"])), presence, subject.patch)

    def score(alpha: Float[np.ndarray, " U"], constants: Float[np.ndarray, " U"]) -> Float[np.ndarray, " B"]:
        seen = under(subject.predict, alpha, constants, np.asarray(where))(state, batch)["presence"]
        return np.asarray(at(jnp.asarray(seen)[..., label], where))

    alphas = {name: chosen(members, len(values)) for name, members in sets.items()}
    return {name: score(alpha, values) - score(alpha, 0 * values) for name, alpha in alphas.items()}


def _keys(z: Float32[np.ndarray, "B Z"]) -> UInt32[np.ndarray, "B 2"]:
    return np.array([(1, zlib.crc32(np.ascontiguousarray(row).tobytes())) for row in z], np.uint32)


def _look(subject: Subject, metrics: tuple[Metric, ...], predict: Predict) -> dict[str, Any]:
    """Evaluate metrics on all images; keys are without the hook's name."""
    result = subject.evaluate(metrics).run(predict, subject.state)
    return {name.split("/", 1)[-1]: value for name, value in result.items()}


def _count() -> Metric:
    return Metric(lambda: 0, lambda n, outputs, batch: n + int(np.sum(batch["_mask"])), lambda n: {"images": n})


def _picture(subject: Subject, concept: int, members: Sequence[int], shown: Batch) -> np.ndarray:
    """Draw the three images of the batch that hold most of the concept."""
    label, values = subject.concepts[concept], subject.values[concept]
    plain = subject.predict(subject.state, shown)
    rows = np.argsort(-plain["areas"][:, label], kind="stable")[:3]
    alpha, blank = chosen(members, len(values)), 0 * plain["presence"][..., label]
    where = np.asarray(place(jnp.asarray(_keys(shown["z"])), jnp.asarray(blank), subject.patch))
    ablated = under(subject.predict, alpha, 0 * values, np.ones_like(where))(subject.state, shown)
    inserted = under(subject.predict, alpha, values, where)(subject.state, shown)
    shares = np.stack([x["areas"][rows, label] for x in (plain, ablated, inserted)], axis=1)
    images = [x["samples"][rows] for x in (plain, ablated, inserted)]
    return before_after(images[0], images[1], images[2], where[rows], shares)


def _units(subject: Subject, agreement: Agreement, top: Top) -> tuple[Unit, ...]:
    """Describe every unit with the concept of highest IoU; the unit of highest IoU first."""
    concepts = np.array(subject.concepts)
    own = concepts[agreement.iou[:, concepts].argmax(axis=1)]
    order = np.argsort(-agreement.iou[np.arange(len(own)), own], kind="stable")
    return tuple(_unit(subject, agreement, top, int(u), int(own[u])) for u in order)


def _unit(subject: Subject, agreement: Agreement, top: Top, u: int, label: int) -> Unit:
    iou, name = float(agreement.iou[u, label]), subject.class_names[label]
    threshold, quantile = float(agreement.threshold[u, label]), float(agreement.quantile_threshold[u])
    information = float(agreement.information[u, label])
    named = iou >= LABELLED and information >= INFORMED
    picture = unit_picture(top.samples[u], top.maps[u], threshold if named else quantile)
    return Unit(
        u,
        name if named else "",
        iou,
        threshold,
        information,
        float(agreement.quantile_iou[u, label]),
        quantile,
        picture,
    )


def _ranked(scores: Float[np.ndarray, " U"], count: int) -> tuple[tuple[int, float], ...]:
    return tuple((unit, float(scores[unit])) for unit in best(scores, count))


def _random_units(seed: int, count: int, of: int) -> tuple[int, ...]:
    return tuple(np.random.default_rng(seed).permutation(of)[:count].tolist())
