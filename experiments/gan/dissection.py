"""GAN dissection: the units of a generator that draw each kind of object (Bau et al. 2019, arXiv:1811.10597).

python launch.py --experiment=gan/dissection  # dissection.html in the workdir
python launch.py --experiment=gan/dissection --dissect.layer=layer2 --dissect.concepts=classes

The first, seed 0, about 12 CPU minutes on two shared cores: 55 of 64 units agree with a concept, with IoU up to 0.36.
Of the area of dark objects 7.9 % is left without their ten units of largest α, and 51 to 157 % (mean 94 %) without ten
random ones, in five draws; of bright objects 0.4 %, against 30 to 98 % (mean 75 %). The segmenter's mean IoU on held-
out scenes is 0.94. Of eight units tried as artefacts on one half of the held-out scenes three were removed, which
lowers the Fréchet distance by the segmenter's features on the other half from 0.82 to 0.80.
"""

import dataclasses
from collections.abc import Sequence
from functools import partial

import numpy as np

from jaxvision.data.inputs import Inputs
from jaxvision.evals.dissection import Subject, dissect, effects_table, figures, remove_artefacts, under
from jaxvision.evals.frechet import frechet
from jaxvision.ops.interventions import chosen
from jaxvision.recipes.dissection import Dissect, DissectionConfig, DissectionSetup, concept_source
from jaxvision.recipes.gan import full_size, smoke
from jaxvision.tasks.dissection import values
from jaxvision.train.devices import first_batch
from jaxvision.train.hooks import evaluate
from jaxvision.train.types import Data, Experiment, Hook, Predict, Result, TrainState
from jaxvision.viz import dissection as viz
from jaxvision.viz.grid import grid


@dataclasses.dataclass(frozen=True)
class Config(DissectionConfig):
    """Fields are flags; `quick` is the default preset."""


PRESETS = {
    "quick": Config(),
    "paper": full_size(  # the paper dissects progressive GANs of 256 pixels, which this generator is not
        Config(
            data="tfds:oxford_iiit_pet",
            dissect=Dissect("classes", "layer2", 1.0, 5, 40_000, 10_000, units=20, artefacts=40),
        )
    ),
    "smoke": smoke(
        Config(
            data="scenes:count=64,size=32",
            batch_size=8,
            dissect=Dissect(width=1 / 16, levels=2, segmenter_steps=2, alpha_steps=2, units=1, artefacts=1),
        )
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train a GAN and a segmenter on the same images; then search for the units that draw what the segmenter finds."""
    setup = DissectionSetup(concept_source(config, inputs), config, inputs)
    report = Hook("report", 0, partial(_report, setup))
    return Experiment((setup.players(), setup.segmenter(), setup.dissection((report,))))


def _report(setup: DissectionSetup, predict: Predict, state: TrainState) -> Result:
    """Return the report as a page and as JSON, its figures, and the effect of removing units that draw artefacts."""
    settings, data = setup.config.dissect, {name: setup.data(name) for name in ("val[:50%]", "val[50%:]")}
    subject = Subject(
        partial(evaluate, data=data["val[:50%]"], name="dissection"),
        predict,
        state,
        setup.source.class_names,
        setup.concepts,
        np.asarray(state.params["alpha"]),
        np.asarray(values(state)),
        settings.patch,
    )
    shown = first_batch(data["val[:50%]"])
    report = dissect(subject, shown, settings.layer, units=settings.units)
    nameless = [unit.number for unit in report.units if not unit.concept][: settings.artefacts]
    return {
        **{f"dissection/{name}": value for name, value in figures(report).items()},
        "dissection/effects": effects_table(report),
        "dissection.html": viz.page(report),
        "dissection.json": viz.as_json(report),
        **_without_artefacts(subject, nameless, data),
    }


def _without_artefacts(subject: Subject, candidates: Sequence[int], data: dict[str, Data]) -> Result:
    """Choose units, on one half of the validation images, without which samples come nearer to real images.

    Returns their number, the Fréchet distance by the segmenter's features on the other half with them and without, and
    a picture of the samples that change most.
    """
    size = subject.predict(subject.state, first_batch(data["val[:50%]"]))["presence"].shape[1:3]
    count, everywhere = subject.alpha.shape[1], np.ones((1, *size))

    def without(units: Sequence[int]) -> Predict:
        return under(subject.predict, chosen(units, count), np.zeros(count), everywhere)

    def distance(half: str, units: Sequence[int]) -> float:
        hook = evaluate((frechet("unet"),), data[half], name="artefacts")
        return float(hook.run(without(units), subject.state)["artefacts/fid_unet"])

    removed, _ = remove_artefacts(partial(distance, "val[:50%]"), candidates, most=len(candidates))
    shown = first_batch(data["val[50%:]"])
    before, after = (without(units)(subject.state, shown)["samples"] for units in ((), removed))
    rows = np.argsort(-np.abs(after.astype(int) - before).mean(axis=(1, 2, 3)), kind="stable")[:8]
    return {
        "artefacts/units": float(len(removed)),
        "artefacts/fid_unet_before": distance("val[50%:]", ()),
        "artefacts/fid_unet_after": distance("val[50%:]", removed),
        "artefacts/removed": grid(
            np.concatenate([before[rows], after[rows]]), len(rows), ["before"] * len(rows) + ["after"] * len(rows)
        ),
    }
