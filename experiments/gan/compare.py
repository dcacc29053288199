"""The ideas of GANs, each taken alone: losses, DCGAN's rules, conditions, balance, on points and on images.

python launch.py --experiment=gan/compare
python launch.py --experiment=gan/compare --only=toy_minimax_alone,toy_non_saturating_alone
python launch.py --experiment=gan/compare --only=dcgan,norm_nowhere --seeds=3 --data=idx:fashion-mnist

Variants whose names begin with "toy" learn a ring of Gaussians, the others images, judged by one classifier. Where a
name ends in "alone", the discriminator learns and the generator stays as it is, so that D(G(z)) goes to 0. "dcgan" is
what all other variants on images differ from in one setting.
"""

import dataclasses
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np

from experiments.gan import conditional, dcgan, joint, toy
from jaxvision.data.inputs import Inputs, Opened
from jaxvision.models.dcgan import Rules
from jaxvision.recipes.backbone import TINY, Backbone
from jaxvision.recipes.comparison import Build, chosen, compare, variant, with_shared
from jaxvision.recipes.comparison_table import Comparison, Measure, Runs
from jaxvision.recipes.gan import DCGAN_ADAM, FAST_DCGAN_ADAM, GanNetwork, GanRules, GanSetup
from jaxvision.recipes.gan_inception import judge_of
from jaxvision.recipes.generator_gradients import NAMES, by_belief, gradient_table
from jaxvision.recipes.run_config import RunConfig
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment, Result
from jaxvision.viz.run_curves import over_places, run_curves

LOSSES = ("minimax", "least_squares", "hinge")  # beside the non-saturating loss, which is what the others differ from
ALONE: Mapping[str, Any] = {"generator__freeze": (".",)}
ON_POINTS: Mapping[str, Mapping[str, Any]] = {
    "toy": {},
    **{f"toy_{loss}": {"objective": loss} for loss in LOSSES},
    "toy_wasserstein": {"objective": "wasserstein", "penalty": 10.0},
    "toy_minimax_alone": {"objective": "minimax", **ALONE},
    "toy_non_saturating_alone": ALONE,
    "toy_k4": {"discriminator_steps": 4},
}
ON_IMAGES: Mapping[str, Mapping[str, Any]] = {
    "dcgan": {},
    **{loss: {"play__objective": loss} for loss in LOSSES},
    "wasserstein": {
        "play__objective": "wasserstein",
        "play__penalty": 10.0,
        "network__rules__batch_norm": "generator",  # the gradient of one row must not depend on the others
    },
    "k2": {"play__discriminator_steps": 2},
    "norm_nowhere": {"network__rules__batch_norm": "nowhere"},
    "norm_everywhere": {"network__rules__batch_norm": "everywhere"},
    "relu": {"network__rules__leaky": False},
    "hidden_layer": {"network__rules__hidden": 256},
    "pooling": {"network__rules__pooling": True},
}
CONDITIONS: Mapping[str, tuple[ModuleType, Mapping[str, Any]]] = {
    "given_label": (conditional, {}),
    "with_label": (conditional, {"condition": "concat"}),
    "with_latent": (joint, {}),
}


@dataclasses.dataclass(frozen=True)
class Config(RunConfig):
    """Fields are flags; `quick` is the default preset."""

    variants: tuple[str, ...] = (*ON_POINTS, *ON_IMAGES, *CONDITIONS)  # variants to compare
    seeds: int = 1  # trainings of each variant, each with other weights and batches
    data: str = "digits"  # digits, idx:DIR, folder:DIR, tfds:cifar10; with labels for variants that have conditions
    batch_size: int = 64  # real images in a training step
    steps: int = 400  # training steps on images
    eval_every: int = 100  # training steps between evaluations
    points: str = "mixture"  # data of variants on points: mixture[:modes=N,count=N]
    point_steps: int = 2000  # training steps on points
    network: GanNetwork = GanNetwork()
    play: GanRules = GanRules(smooth=0.1)
    optimizer: Optimizer = FAST_DCGAN_ADAM  # of both players on images
    judge_steps: int = 300  # training steps of the judge
    judge: Backbone = Backbone()  # network of the judge


PRESETS = {
    "quick": Config(),
    "fashion": Config(data="idx:fashion-mnist", seeds=3, steps=1500, eval_every=500, point_steps=9000),
    "paper": Config(  # of no single paper: DCGAN's width and rates on images with labels
        variants=(*ON_IMAGES, *CONDITIONS),
        data="tfds:cifar10",
        batch_size=128,
        steps=100_000,
        eval_every=10_000,
        network=GanNetwork(width=1.0, kernel=5),
        play=GanRules(),
        optimizer=DCGAN_ADAM,
        judge_steps=20_000,
    ),
    "smoke": Config(
        variants=("toy_minimax_alone", "dcgan"),
        data="digits:count=32",
        batch_size=16,
        steps=2,
        eval_every=1,
        points="mixture:count=512",
        point_steps=2,
        network=GanNetwork(width=1 / 64, latent_dim=16),
        judge_steps=2,
        judge=TINY,
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train every variant, those on images under one judge; then compare them."""
    builds = chosen("--variants", config.variants, variants(config))
    base = _on_images(dcgan, config)
    setup = GanSetup(Opened(*inputs).source(config.data), base, inputs)
    judge = f"{judge_of(setup, base).name}_{config.play.sample_norm}"
    distance, recall = f"val/fid_{judge}", f"val/recall_{judge}"
    measures = (
        Measure(distance, "Fréchet distance", "Fréchet distance", more=False, form=".2f"),
        Measure(recall, "recall", "share"),
        Measure("val/within_3_sigma", "within 3 sigma", "share"),
        Measure("val/modes_covered", "modes", "modes", form=".1f"),
        Measure("alarm/collapse", "alarm", "alarm", more=False, form=".2f"),
    )
    comparison = Comparison(
        "Generative adversarial networks",
        "variant",
        measures,
        pairs=tuple(("dcgan", name) for name in ON_IMAGES if name != "dcgan"),
        curves=(distance, "val/modes_covered"),
        notes=(_note(config),),
        more=gradients,
    )
    return compare(builds, inputs, config.seeds, comparison, shared=("judge",))


def variants(config: Config) -> dict[str, Build]:
    """Return all variants by name."""
    points = dataclasses.replace(
        toy.PRESETS["quick"], data=config.points, steps=config.point_steps, eval_every=max(1, config.point_steps // 4)
    )
    return {
        **{name: variant(toy, points, **changes) for name, changes in ON_POINTS.items()},
        **{name: variant(dcgan, _on_images(dcgan, config), **changes) for name, changes in ON_IMAGES.items()},
        **{name: variant(of, _on_images(of, config), **changes) for name, (of, changes) in CONDITIONS.items()},
    }


def gradients(runs: Runs) -> Result:
    """Return table and figure of the generator's gradient by D(G(z)), for variants whose scores are log odds."""
    found = {name: np.stack([by_belief(ran.rows) for ran in of_seeds]) for name, of_seeds in runs.items()}
    known = {name: of for name, of in found.items() if np.isfinite(of).any()}
    if not known:
        return {}
    panel = over_places(known, NAMES, "D(G(z))", log=True)
    figure = run_curves({"length of the generator's gradient": panel})
    return {"generator_gradients": gradient_table(known), "generator_gradients_figure": figure}


def _on_images(module: ModuleType, config: Config) -> Any:
    """Return the settings of an experiment on images with what is the same in all variants."""
    shared = ("data", "batch_size", "steps", "eval_every", "network", "play", "judge_steps", "judge")
    players = dict.fromkeys(("generator", "discriminator"), config.optimizer)
    return with_shared(module.PRESETS["quick"], config, shared, **players)


def _note(config: Config) -> str:
    rules = "as the paper's" if config.network.rules == Rules() else str(config.network.rules)
    return (
        f"Images: {config.data}, {config.steps} steps of {config.batch_size}, width {config.network.width:g}, rules "
        f"{rules}; points: {config.points}, {config.point_steps} steps. Samples of all variants are compared with held-"
        f"out images by the features of one judge, trained for {config.judge_steps} steps. k discriminator steps share "
        "the batch."
    )
