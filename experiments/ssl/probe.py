"""Probe of an encoder on images with labels: linear heads or fine-tuning, and nearest neighbours.

python launch.py --experiment=ssl/probe --init_from=workdir:runs/ssl-simclr --labels=0.1
python launch.py --experiment=ssl/probe --init_from=workdir:runs/ssl-simclr --labels=0.1 --method=finetune
python launch.py --experiment=ssl/probe --workdir=runs/random  # digits: 0.922, 1 minute, two CPU cores

Without --init_from the encoder has learned nothing, as in the last line.
The network's flags must be those of the run that the encoder comes from, and the data of the same kind: pixels are
normalised with the mean and deviation of --data.
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
from jaxvision.models.precision import in_precision
from jaxvision.recipes.backbone import RESNET50, TINY, Backbone
from jaxvision.recipes.probing import Examples, LinearHeads, ProbingConfig
from jaxvision.tasks.probe import finetune
from jaxvision.train.hooks import evaluate
from jaxvision.train.optim import Optimizer
from jaxvision.train.rates import log_rate
from jaxvision.train.types import Experiment, Hook, Predict, Result, TrainState
from jaxvision.viz.table import table

_MAPPED = 1000  # held-out images on the maps


@dataclasses.dataclass(frozen=True)
class Config(ProbingConfig):
    """Fields are flags; `quick` is the default preset."""

    batch_size: int = 128
    steps: int = 500
    labels: float = 1.0  # share of the training images whose labels are used, the same share of each class
    resize: int = 0  # pixels of the shorter side before the central square is cut out; 0: image_size, all of the square
    method: Literal["linear", "finetune"] = "linear"  # heads on a frozen encoder, or the encoder learns too
    crop: Literal["none", "shift", "inception"] = "none"  # training images: whole, moved by 1/8, random parts
    flip: bool = False  # mirror half of the training images, chosen at random


ONE_HEAD = LinearHeads(rates=(1.0,), feature_norm="none", held_out=0.0)  # nothing to choose, so nothing is held out
MOCO = Config(  # He et al. 2020, section 4.1: lr 30, batch 256, 100 epochs of ImageNet, tested on 224 of 256 pixels
    data="tfds:imagenet2012",
    image_size=224,
    resize=256,
    batch_size=256,
    steps=500_400,
    crop="inception",
    flip=True,
    heads=ONE_HEAD,
    backbone=RESNET50,
    optimizer=Optimizer(lr=30.0, schedule="step", milestones=(0.6, 0.8)),
)

PRESETS = {
    "quick": Config(),
    "paper": MOCO,
    "moco": MOCO,
    "simclr": dataclasses.replace(  # Chen et al. 2020, appendix B.6: lr 0.1 · batch / 256, 90 epochs, no decay
        MOCO,
        batch_size=4096,
        steps=28_150,
        optimizer=Optimizer(lr=1.6, nesterov=True, schedule="cosine"),
    ),
    "simclr_cifar": Config(  # the released code's command for CIFAR-10: lr 0.1 · 512 / 256, 100 epochs
        data="tfds:cifar10",
        val_split="test",
        batch_size=512,
        steps=9766,
        crop="inception",
        flip=True,
        heads=ONE_HEAD,
        backbone=Backbone(width=1.0),
        optimizer=Optimizer(lr=0.2, nesterov=True, schedule="cosine"),
    ),
    "smoke": Config(
        data="digits:count=100",
        image_size=16,
        batch_size=8,
        steps=2,
        heads=LinearHeads(rates=(1.0, 3.0)),
        backbone=TINY,
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Probe the encoder of --init_from, or a random one."""
    source = inputs.source(config.data, "labels")
    whole = _whole(config)
    records = source[config.train_split]
    chosen = _choose(records, config, inputs.seed)
    examples = Examples(records, [chosen], whole, config.batch_size, inputs)
    val = inputs.evaluate(source[config.val_split], whole, config.batch_size)
    report = evaluate((accuracy((1,)), confusion_matrix(source.class_names)), val, name="probe")
    embedding_hooks = _embedding_hooks(source, source[config.val_split], examples)
    tx, encoder = config.optimizer.make(config.steps), in_precision(config.backbone.make(), inputs.precision)
    train = inputs.train(Subset(records, chosen.fit), _augment(config), config.batch_size)
    if config.method == "finetune":
        task = finetune(encoder, tx, source.num_classes, mean=source.mean, std=source.std)
        task = log_rate(task, config.optimizer, config.steps)
        return Experiment.single(task, train, config.steps, (_with_summary(report, config), *embedding_hooks))
    rates = tuple(config.optimizer.lr * rate for rate in config.heads.rates)
    report = of_best_head(examples.held_out()[0] if config.heads.held_out else None, report, rates)
    hooks = (_with_summary(report, config), *embedding_hooks)
    if config.crop != "none" or config.flip:
        task = config.heads.task(encoder, tx, source, config.image_size)
        return Experiment.single(log_rate(task, config.optimizer, config.steps), train, config.steps, hooks)
    task = config.heads.task(encoder, tx, source, config.image_size, examples.bank)
    task = log_rate(task, config.optimizer, config.steps)
    return Experiment((examples.stage("train", task, config.steps, hooks, lambda state, finished: state),))


def _choose(records: Records, config: Config, seed: int) -> Labelled:
    """Choose the images whose labels are used. If all are, no label needs to be read before the training."""
    if config.labels == 1.0:
        order = np.random.default_rng(seed).permutation(len(records))
        share = config.heads.held_out
        held_out = min(max(1, round(share * len(records))), len(records) - 1) if share else 0
        return Labelled(np.sort(order[held_out:]), np.sort(order[:held_out]))
    return class_balanced(labels_of(records), config.labels, held_out=config.heads.held_out, seed=seed)


def _whole(config: Config) -> Transform:
    """Return the transform of an image for evaluation: its central square at the size that the flags say."""
    return crops.center_crop(config.image_size, config.resize or config.image_size)


def _augment(config: Config) -> Transform:
    size = config.image_size
    crop = {
        "none": _whole(config),
        "shift": crops.crop_pad(size, max(1, size // 8)),
        "inception": crops.inception_crop(size),
    }[config.crop]
    return compose(crop, horizontal_flip()) if config.flip else crop


def _embedding_hooks(source: Source, val: Records, examples: Examples) -> tuple[Hook, Hook]:
    """Return hooks for the accuracy of nearest neighbours among the labelled images, and for maps of held-out ones."""
    open_data = partial(examples.inputs.evaluate, transform=examples.transform, batch_size=examples.batch_size)
    known = Subset(examples.records, examples.subsets[0].all)
    bank, queries = (evaluate((embeddings(),), open_data(records)) for records in (known, val))
    shown = evaluate((embeddings(images=True),), open_data(evenly(val, _MAPPED)))
    return knn(bank, queries, source.num_classes), maps_and_neighbours(shown, source.class_names)


def _with_summary(report: Hook, config: Config) -> Hook:
    """Return the hook `report` with a table of its accuracy and of the settings that this depends on."""
    return report._replace(run=partial(_summarised, report, config))


def _summarised(report: Hook, config: Config, predict: Predict, state: TrainState) -> Result:
    result, optimizer = report.run(predict, state), config.optimizer
    rows = {
        "method": config.method,
        "share of the labels": f"{config.labels:g}",
        "feature norm": config.heads.feature_norm if config.method == "linear" else "none",
        "schedule": f"{optimizer.schedule}, {config.steps} steps of {config.batch_size}",
        "weight decay": f"{optimizer.weight_decay:g}",
        "learning rate": result.get("probe/lr", optimizer.lr),
        "accuracy": result["probe/accuracy"],
    }
    return {**result, "probe": table(("probe", ""), {name: (value,) for name, value in rows.items()})}
