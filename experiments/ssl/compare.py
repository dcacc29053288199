"""Comparison of all methods that learn features without labels, with one network, one budget, and few labels.

python launch.py --experiment=ssl/compare
python launch.py --experiment=ssl/compare --preset=fashion --data=idx:fashion-mnist  # 3 seeds: 13 minutes on one core
python launch.py --experiment=ssl/compare --preset=ideas  # what SimCLR and MoCo are made of, one setting at a time

Each method's encoder, a random encoder and one that learned from all labels are probed in the same way: with linear
heads on frozen features, for each share of the labels. Colourisation is left out where the data have no colours. The
accuracy of each method's own task stands beside: a MoCo that cheats by batch statistics gets much right and learns
little.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Literal

import numpy as np
from jaxtyping import Int

from experiments.ssl import colorization, context_encoder, jigsaw, moco, relative_patch, rotation, simclr
from jaxvision.data import crops
from jaxvision.data.inputs import Inputs, Opened
from jaxvision.data.label_subset import class_balanced, labels_of
from jaxvision.data.records import Records, Source
from jaxvision.evals.probe import accuracies, best_heads, head_accuracies
from jaxvision.models.precision import in_precision
from jaxvision.recipes.backbone import RESNET50, TINY, Backbone
from jaxvision.recipes.comparison import chosen, compare, variant, with_shared
from jaxvision.recipes.comparison_table import Comparison, Measure, Ran, Runs
from jaxvision.recipes.pretext import PretextCrop
from jaxvision.recipes.probed_encoders import RANDOM, SUPERVISED, WAY, accuracy, ways
from jaxvision.recipes.probing import Examples, LinearHeads, ProbingConfig
from jaxvision.recipes.two_views import ContrastiveView
from jaxvision.tasks.encoder import encoder_variables
from jaxvision.tasks.probe import finetune
from jaxvision.train.hooks import evaluate
from jaxvision.train.optim import Optimizer
from jaxvision.train.rates import log_rate
from jaxvision.train.types import Experiment, Hook, Predict, Result, Stage, Task, TrainState

MODULES: Mapping[str, ModuleType] = {
    module.__name__.rpartition(".")[2]: module
    for module in (rotation, relative_patch, jigsaw, colorization, context_encoder, simclr, moco)
}
IDEAS: Mapping[str, tuple[str, Mapping[str, Any]]] = {  # the method, and what of it is changed
    "simclr_batch_16": ("simclr", {"batch_size": 16}),
    "simclr_batch_256": ("simclr", {"batch_size": 256}),
    "simclr_temperature_0.05": ("simclr", {"temperature": 0.05}),
    "simclr_temperature_1": ("simclr", {"temperature": 1.0}),
    "simclr_no_crop": ("simclr", {"view__area": (1.0, 1.0)}),
    "simclr_no_jitter": ("simclr", {"view__jitter_probability": 0.0}),
    "simclr_no_grayscale": ("simclr", {"view__grayscale": 0.0}),
    "simclr_no_flip": ("simclr", {"view__flip": 0.0}),
    "moco_queue_64": ("moco", {"queue": 64}),
    "moco_queue_1024": ("moco", {"queue": 1024}),
    "moco_momentum_0": ("moco", {"momentum": 0.0}),
    "moco_momentum_0.999": ("moco", {"momentum": 0.999}),
    "moco_unshuffled": ("moco", {"shuffle": False}),
}


@dataclasses.dataclass(frozen=True)
class Config(ProbingConfig):
    """Fields are flags; `quick` is the default preset."""

    methods: tuple[str, ...] = tuple(MODULES)  # methods, and changes of them, to compare, besides random and supervised
    shares: tuple[float, ...] = (0.05, 0.25)  # shares of the training images that have labels for the probes
    seeds: int = 1  # runs of everything, each with other weights, batches and labels
    batch_size: int = 64  # images in a step of every method
    steps: int = 300  # training steps of every method
    probe_batch_size: int = 128  # images in a step of a probe
    probe_steps: int = 300  # training steps of a probe
    recipe: Literal["quick", "fashion", "paper", "smoke"] = "quick"  # preset of each method; quick, where it lacks it
    flip: bool = False  # methods may mirror images
    backbone: Backbone = Backbone(stem="imagenet")
    view: ContrastiveView = ContrastiveView()  # of SimCLR and MoCo
    temperature: float = 0.2  # temperature of SimCLR and MoCo
    contrastive: Optimizer = Optimizer(  # of SimCLR and MoCo; `optimizer` is of the probes
        rule="adam", lr=2e-3, weight_decay=1e-4, schedule="cosine", warmup_steps=50
    )
    supervised: Optimizer = Optimizer(lr=0.1, weight_decay=5e-4, schedule="cosine", warmup_steps=20)


PRESETS = {
    "quick": Config(),
    # On grey images, which a loss of colours does not change, and which are not mirrored.
    "ideas": Config(
        methods=("simclr", "moco", *(name for name in IDEAS if name not in ("simclr_no_grayscale", "simclr_no_flip")))
    ),
    "fashion": Config(  # Fashion-MNIST: grey images of 28 pixels
        data="idx:fashion-mnist",
        shares=(0.01, 0.1),
        seeds=3,
        image_size=28,
        steps=600,  # more make features of patches worse than random ones
        probe_steps=500,
        recipe="fashion",
        flip=True,
        view=moco.PRESETS["fashion"].view,
        contrastive=moco.PRESETS["fashion"].optimizer,
    ),
    "paper": Config(  # of no single paper: ResNet-50 on ImageNet, with each method's own settings
        data="tfds:imagenet2012",
        # Without the context encoder: maps of 7 pixels, doubled, never are its hole of 64.
        methods=tuple(name for name in MODULES if name != "context_encoder"),
        shares=(0.01, 0.1),
        image_size=224,
        batch_size=256,
        steps=500_000,
        probe_batch_size=1024,
        probe_steps=20_000,
        recipe="paper",
        flip=True,
        backbone=RESNET50,
        view=ContrastiveView(area=(0.2, 1.0), flip=0.5, jitter=(0.4, 0.4, 0.4, 0.1), blur=0.5),
        contrastive=Optimizer(lr=0.03, weight_decay=1e-4, schedule="cosine"),
    ),
    "smoke": Config(
        data="digits:count=100",
        methods=("rotation",),
        shares=(0.5, 1.0),
        image_size=16,
        batch_size=8,
        steps=2,
        probe_batch_size=8,
        probe_steps=2,
        recipe="smoke",
        heads=LinearHeads(rates=(1.0, 3.0)),
        backbone=TINY,
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train every encoder and probe it; the last stage compares the accuracies."""
    opened = Opened(*inputs)
    source, whole = opened.source(config.data), crops.center_crop(config.image_size, config.image_size)
    labels = labels_of(source[config.train_split])
    test = evaluate((head_accuracies(),), opened.evaluate(source[config.val_split], whole, config.probe_batch_size))
    encoder = in_precision(config.backbone.make(), inputs.precision)
    tx = config.optimizer.make(config.probe_steps)
    bank = _examples(config, opened, labels).bank
    probe = config.heads.task(encoder, tx, source, config.image_size, bank)  # one for all, compiled once
    probe = log_rate(probe, config.optimizer, config.probe_steps)
    names = encoders(config, source)
    builds = {name: functools.partial(_probed, name, config, labels, test, probe) for name in names}
    measures = tuple(Measure(accuracy(share), f"{100 * share:g} % of labels", "accuracy") for share in config.shares)
    comparison = Comparison(
        "Linear heads on frozen features",
        "encoder",
        measures,
        notes=(*_notes(config, names), WAY),
        columns=functools.partial(_columns, config.shares),
    )
    return compare(builds, opened, config.seeds, comparison)


def _probed(
    name: str, config: Config, labels: Int[np.ndarray, " N"], test: Hook, probe: Task, inputs: Inputs
) -> Experiment:
    """Return the experiment that trains an encoder, unless it stays random, and probes it."""
    examples = _examples(config, inputs, labels)
    learned = [] if name == RANDOM else [_pretraining(name, config, inputs)]
    report = Hook("probe", 0, functools.partial(_report, config.shares, examples.held_out(), test))
    begin = functools.partial(_take_encoder, "train" if learned else "")
    return Experiment((*learned, examples.stage("probe", probe, config.probe_steps, (report,), begin)))


def encoders(config: Config, source: Source) -> list[str]:
    """List the names of the encoders that are compared, in the order of the table.

    Raises:
        ValueError: --methods has one that does not exist.
    """
    methods = chosen("--methods", config.methods, {**MODULES, **IDEAS})
    kept = [name for name in methods if name != "colorization" or _has_colors(source[config.train_split])]
    return [RANDOM, *kept, SUPERVISED]


def method_config(name: str, config: Config) -> object:
    """Return the Config of the method `name`, with the network and the budget of all."""
    presets, size = MODULES[name].PRESETS, config.image_size
    recipes = (*(("resnet18",) if config.recipe == "paper" else ()), config.recipe, "quick")  # first one on a ResNet
    preset = next(presets[recipe] for recipe in recipes if recipe in presets)
    shared = ("data", "train_split", "val_split", "batch_size", "steps", "backbone")
    own = with_shared(preset, config, shared)
    if name in ("simclr", "moco"):
        views = {"image_size": size, "source_size": size, "view": config.view, "temperature": config.temperature}
        return dataclasses.replace(own, **views, optimizer=config.contrastive)
    if name in ("jigsaw", "relative_patch"):  # small pieces of an enlarged image
        return dataclasses.replace(own, crop=dataclasses.replace(preset.crop, flip=config.flip))
    return dataclasses.replace(own, image_size=size, crop=PretextCrop((size, size + size // 8), config.flip))


def _examples(config: Config, inputs: Inputs, labels: Int[np.ndarray, " N"]) -> Examples:
    size, held_out = config.image_size, config.heads.held_out
    subsets = [class_balanced(labels, share, held_out=held_out, seed=inputs.seed) for share in config.shares]
    records = inputs.source(config.data)[config.train_split]
    return Examples(records, subsets, crops.center_crop(size, size), config.probe_batch_size, inputs)


def _pretraining(name: str, config: Config, inputs: Inputs) -> Stage:
    """Return the stage that trains an encoder."""
    if name != SUPERVISED:
        method, changes = IDEAS.get(name, (name, {}))
        build = variant(MODULES[method], method_config(method, config), **changes)
        return build(inputs).stages[0]._replace(name="train", hooks=())
    source, tx, size = inputs.source(config.data), config.supervised.make(config.steps), config.image_size
    encoder = in_precision(config.backbone.make(), inputs.precision)
    task = finetune(encoder, tx, source.num_classes, mean=source.mean, std=source.std)
    shifted = crops.crop_pad(size, max(1, size // 8))
    data = inputs.train(source[config.train_split], shifted, config.batch_size)
    return Stage("train", log_rate(task, config.supervised, config.steps), data, config.steps)


def _take_encoder(name: str, state: TrainState, finished: Mapping[str, TrainState]) -> TrainState:
    """Put the encoder of the finished stage `name` into a probe's state; without a name the encoder stays random."""
    if not name:
        return state
    learned = encoder_variables(finished[name])
    params = {**state.params, "encoder": learned.pop("params")}
    collections = {key: {**state.model_state[key], "encoder": tree} for key, tree in learned.items()}
    return dataclasses.replace(state, params=params, model_state={**state.model_state, **collections})


def _report(shares: tuple[float, ...], held_out: list[Hook], test: Hook, predict: Predict, state: TrainState) -> Result:
    """Return, for each share of the labels, the accuracy of the head that is best on held-out training images."""
    best, tested = best_heads(held_out, predict, state), accuracies(test, predict, state)
    return {accuracy(share): float(tested[n, best[n]]) for n, share in enumerate(shares)}


def _columns(shares: tuple[float, ...], runs: Runs) -> dict[str, list[str]]:
    """Return how far each encoder is on its way, and how much of its own task its method got right in the end."""
    right = {name: [_right(ran) for ran in of] for name, of in runs.items()}
    cells = [f"{np.mean(values):.3f}" if np.isfinite(values).all() else "–" for values in right.values()]
    return {**ways(shares, runs), "own task": cells}


def _right(ran: Ran) -> float:
    """Return the last accuracy of a method in training; NaN where it has none."""
    own = [row for row in ran.rows if row["stage"] == ran.stages.get("train") and "train/accuracy" in row]
    return float(own[-1]["train/accuracy"]) if own else np.nan


def _notes(config: Config, names: list[str]) -> list[str]:
    """Describe the settings that the table depends on, and what was left out."""
    backbone, heads = config.backbone, config.heads
    notes = [
        f"{config.data}; ResNet-{backbone.depth}, stem {backbone.stem}, width {backbone.width:g}; every method "
        f"{config.steps} steps of {config.batch_size} images; heads {config.probe_steps} steps of "
        f"{config.probe_batch_size}, feature norm {heads.feature_norm}, the learning rate chosen among "
        f"{len(heads.rates)} on {heads.held_out:.0%} of the images with labels; seeds: {config.seeds}, ± one standard "
        "deviation."
    ]
    if "colorization" in config.methods and "colorization" not in names:
        notes.append("colorization is left out: these images have no colours.")
    return notes


def _has_colors(records: Records) -> bool:
    """Return True if any of 32 images, evenly spaced, is not grey."""
    for index in np.unique(np.linspace(0, len(records) - 1, 32).astype(int)):
        with contextlib.suppress(ValueError, OSError):
            if np.ptp(records[int(index)]["image"], axis=-1).max() > 0:
                return True
    return False
