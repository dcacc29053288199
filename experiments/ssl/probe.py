"""What an encoder has learned, on images with labels: linear heads or fine-tuning, and its nearest neighbours.

python launch.py --experiment=ssl/probe --init_from=workdir:runs/ssl-simclr --labels=0.1
python launch.py --experiment=ssl/probe --init_from=workdir:runs/ssl-simclr --labels=0.1 --method=finetune
python launch.py --experiment=ssl/probe --workdir=runs/random  # digits: 0.922, 1 minute, two CPU cores

Without --init_from the encoder has learned nothing, as in the last line.
The network's flags must be those of the run that the encoder comes from, and the data of the same kind: pixels are
normalised as --data has them.
"""

import dataclasses
from functools import partial
from typing import Literal

import numpy as np

from jaxvision.data import crops
from jaxvision.data.inputs import Inputs
from jaxvision.data.label_subset import Labelled, class_balanced, labels_of
from jaxvision.data.records import Records, Source, Subset, evenly
from jaxvision.data.transforms import Transform, compose, horizontal_flip
from jaxvision.evals.classification import accuracy, confusion_matrix
from jaxvision.evals.embedding import embeddings
from jaxvision.evals.knn import knn
from jaxvision.evals.neighbourhood import maps_and_neighbours
from jaxvision.evals.probe import of_best_head
from jaxvision.recipes.probing import Examples, Heads
from jaxvision.recipes.two_views import Backbone
from jaxvision.tasks.probe import finetune
from jaxvision.train.hooks import evaluate
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment, Hook, Predict, Result, TrainState
from jaxvision.viz.table import table

_MAPPED = 1000  # held-out images on the maps


@dataclasses.dataclass(frozen=True)
class Config:
    """Fields are flags; `quick` is the default preset."""

    data: str = "digits"  # digits, idx:DIR, folder:DIR, tfds:NAME
    train_split: str = "train"  # what is learned from, such as trainval or train[:90%]
    val_split: str = "val"  # what the figures are of, such as test
    labels: float = 1.0  # share of the training images whose labels are used, as many of each class
    method: Literal["linear", "finetune"] = "linear"  # heads on a frozen encoder, or everything learns
    image_size: int = 32
    batch_size: int = 128
    steps: int = 500
    crop: Literal["none", "shift", "inception"] = "none"  # training images: whole, moved by 1/8, random parts
    flip: bool = False  # mirror every other training image
    heads: Heads = Heads()
    backbone: Backbone = Backbone()
    optimizer: Optimizer = Optimizer(lr=0.1, nesterov=True, schedule="cosine")


PRESETS = {
    "quick": Config(),
    "paper": Config(  # He et al. 2020, section 4.1: lr 30, batch 256, 100 epochs of ImageNet
        data="tfds:imagenet2012",
        image_size=224,
        batch_size=256,
        steps=500_400,
        crop="inception",
        flip=True,
        heads=Heads(rates=(0.1, 0.3, 1.0), feature_norm="none", held_out=0.01),
        backbone=Backbone(depth=50, stem="imagenet", width=1.0),
        optimizer=Optimizer(lr=30.0, schedule="step", milestones=(0.6, 0.8)),
    ),
    "smoke": Config(
        data="digits:count=100",
        image_size=16,
        batch_size=8,
        steps=2,
        heads=Heads(rates=(1.0, 3.0)),
        backbone=Backbone(width=1 / 32),
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Probe the encoder of --init_from, or a random one."""
    source = inputs.source(config.data)
    whole = crops.center_crop(config.image_size, config.image_size)
    records = source[config.train_split]
    chosen = _choose(records, config, inputs.seed)
    examples = Examples(records, [chosen], whole, config.batch_size, inputs)
    val = inputs.evaluate(source[config.val_split], whole, config.batch_size)
    report = evaluate((accuracy((1,)), confusion_matrix(source.class_names)), val, name="probe")
    looks = _looks(source, source[config.val_split], examples)
    tx, encoder = config.optimizer.make(config.steps), config.backbone.make()
    anew = inputs.train(Subset(records, chosen.fit), _augment(config), config.batch_size)
    if config.method == "finetune":
        task = finetune(encoder, tx, source.num_classes, mean=source.mean, std=source.std)
        return Experiment.single(task, anew, config.steps, (_told(report, config), *looks))
    rates = tuple(config.optimizer.lr * rate for rate in config.heads.rates)
    report = of_best_head(examples.held_out()[0], report, rates)
    hooks = (_told(report, config), *looks)
    if config.crop != "none" or config.flip:
        return Experiment.single(config.heads.task(encoder, tx, source, config.image_size), anew, config.steps, hooks)
    task = config.heads.task(encoder, tx, source, config.image_size, examples.bank)
    return Experiment((examples.stage("train", task, config.steps, hooks, lambda state, finished: state),))


def _choose(records: Records, config: Config, seed: int) -> Labelled:
    """The images with labels. Where all have them, no label needs to be read before the training."""
    if config.labels == 1.0:
        order = np.random.default_rng(seed).permutation(len(records))
        held_out = min(max(1, round(config.heads.held_out * len(records))), len(records) - 1)
        return Labelled(np.sort(order[held_out:]), np.sort(order[:held_out]))
    return class_balanced(labels_of(records), config.labels, held_out=config.heads.held_out, seed=seed)


def _augment(config: Config) -> Transform:
    size = config.image_size
    crop = {
        "none": crops.center_crop(size, size),
        "shift": crops.crop_pad(size, max(1, size // 8)),
        "inception": crops.inception_crop(size),
    }[config.crop]
    return compose(crop, horizontal_flip()) if config.flip else crop


def _looks(source: Source, val: Records, examples: Examples) -> tuple[Hook, Hook]:
    """Accuracy by neighbours among the images with labels; maps of held-out images."""
    open_data = partial(examples.inputs.evaluate, transform=examples.transform, batch_size=examples.batch_size)
    known = Subset(examples.records, examples.subsets[0].all)
    bank, queries = (evaluate((embeddings(),), open_data(records)) for records in (known, val))
    shown = evaluate((embeddings(images=True),), open_data(evenly(val, _MAPPED)))
    return knn(bank, queries, source.num_classes), maps_and_neighbours(shown, source.class_names)


def _told(report: Hook, config: Config) -> Hook:
    """The report, with a table of what its accuracy depends on."""
    linear, optimizer = config.method == "linear", config.optimizer
    facts = {
        "method": config.method,
        "share of the labels": f"{config.labels:g}",
        "feature norm": config.heads.feature_norm if linear else "none",
        "schedule": f"{optimizer.schedule}, {config.steps} steps of {config.batch_size}",
        "weight decay": f"{optimizer.weight_decay:g}",
    }

    def run(predict: Predict, state: TrainState) -> Result:
        result = report.run(predict, state)
        figures = {"learning rate": result.get("probe/lr", optimizer.lr), "accuracy": result["probe/accuracy"]}
        rows = {name: (value,) for name, value in {**facts, **figures}.items()}
        return {**result, "probe": table(("probe", ""), rows)}

    return report._replace(run=run)
