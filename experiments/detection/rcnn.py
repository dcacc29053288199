"""R-CNN (Girshick, Donahue, Darrell & Malik 2014, arXiv:1311.2524), a stage after the other.

python launch.py --experiment=detection/rcnn  # scenes: AP50 0.923, 2.4 minutes, two CPU cores
python launch.py --experiment=detection/rcnn --from_stage=svm --svm.c=0.01
python launch.py --experiment=detection/rcnn --data=voc:/data/VOC2007 --preset=paper --workers=8

Stages: proposals, finetune, features, svm, regression, test. What they leave is in artefacts/ and checkpoints/.
"""

import dataclasses
import functools
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int, UInt8

from jaxvision.data import pipeline
from jaxvision.data.canvas import Canvases
from jaxvision.data.feature_store import FeatureStore
from jaxvision.data.inputs import Inputs
from jaxvision.data.order import InShares
from jaxvision.data.proposals import Proposed, Searched
from jaxvision.data.records import Records, Source, Subset
from jaxvision.evals.detection_errors import worst_errors
from jaxvision.fits.box_regression import Regression
from jaxvision.fits.hard_negatives import Mining
from jaxvision.recipes.detection import Searching, View, average_precision, draw, later, presentation, searched
from jaxvision.recipes.rcnn import (
    Network,
    Storing,
    Tuning,
    coverage,
    draw_hard_negatives,
    draw_proposals,
    draw_windows,
    times,
)
from jaxvision.recipes.rcnn_windows import (
    MACHINE,
    REGRESSOR,
    Split,
    feature_store,
    learn_machines,
    learn_regressors,
    tuning_windows,
    write_features,
)
from jaxvision.tasks import rcnn
from jaxvision.tasks.classification import classification
from jaxvision.tasks.rcnn import Look, Reported, Warping
from jaxvision.train.hooks import evaluate, picture
from jaxvision.train.optim import Optimizer
from jaxvision.train.steps import nothing
from jaxvision.train.types import Data, Experiment, Metric, Predict, Result, Say, Stage, Task, TrainState

MARGIN = 0.0  # score of a machine that lies half way between object and not: from there on detections are shown


@dataclasses.dataclass(frozen=True)
class Config:
    """Fields are flags; `quick` is the default preset."""

    data: str = "scenes:count=1024"  # scenes, voc:DIR, coco:DIR, tfds:NAME
    train_split: str = "train"  # what is learned from, such as trainval or train[:90%]
    val_split: str = "val"  # what the figures are of, such as test
    protocol: Literal["coco", "voc07_11pt", "voc10_area"] = "coco"  # of the average precision
    proposals: Searching = Searching(most=128)
    network: Network = Network(width=0.25)
    warping: Warping = Warping(64, 5)
    view: View = View()
    finetune: Tuning = Tuning()
    batch_size: int = 128  # windows, a quarter of them of objects
    steps: int = 800  # of tuning
    optimizer: Optimizer = Optimizer(lr=0.05, weight_decay=5e-4, schedule="cosine", warmup_steps=50, clip_norm=10.0)
    features: Storing = Storing()
    svm: Mining = Mining()
    regression: Regression = Regression()
    test: Reported = Reported()


PRESETS = {
    "quick": Config(),
    "photos": Config(  # a few hundred photographs of one's own, from random weights
        data="voc:photos",
        proposals=Searching(most=1000),
        network=Network(width=0.5),
        view=View(240, 320, flip=0.5, max_objects=32),
        steps=2000,
        features=Storing(images=2),
    ),
    "paper": Config(  # VOC07 with AlexNet; the paper starts from ImageNet's weights
        data="voc:VOCdevkit/VOC2007",
        train_split="trainval",
        val_split="test",
        protocol="voc07_11pt",
        proposals=Searching("rcnn"),
        network=Network("alexnet"),
        warping=Warping(),
        view=View(500, 500, flip=0.5, max_objects=64),
        steps=70_000,
        optimizer=Optimizer(
            lr=0.001, weight_decay=5e-4, decay_norms=True, schedule="step", milestones=(2 / 7, 4 / 7, 6 / 7)
        ),
        features=Storing(images=1, windows=128),
    ),
    "smoke": Config(
        data="scenes:count=8,size=64",
        proposals=Searching(most=16),
        network=Network(width=0.0625),
        warping=Warping(32, 2),
        view=View(64, 64),
        batch_size=8,
        steps=2,
        features=Storing(windows=8, per_shard=2),
        test=Reported(detections=8),
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """From proposals to a detector, in six stages."""
    if jax.process_count() > 1:
        raise ValueError("detection/rcnn runs in one process: leave --num_processes out")
    setup = Setup(inputs.source(config.data, "boxes"), config, inputs)
    names, classes = setup.source.class_names, setup.classes
    widths = dict(zip((MACHINE, REGRESSOR), setup.look.widths(), strict=True))
    tuning, features = setup.tuning_data(), rcnn.features(setup.look)
    figure = average_precision(names, config.protocol)
    shown = picture("windows", tuning, partial(draw_windows, class_names=names))
    hooks = (
        evaluate((figure, _unmoved(figure), worst_errors(names, min_score=MARGIN)), setup.val()),
        picture("detections", setup.val(), partial(draw, class_names=names, min_score=MARGIN)),
        times(setup.look, config.test, setup.testing.records, setup.val(), config.proposals, inputs.seed),
    )
    svm, regression = rcnn.machines(widths[MACHINE], classes), rcnn.regressors(widths[REGRESSOR], classes)
    test = rcnn.rcnn(setup.look, classes, config.test)
    return Experiment(
        (
            Stage("proposals", nothing(), None, 0, make=setup.find_proposals),
            Stage("finetune", setup.tuning_task(), tuning, config.steps, (shown,)),
            Stage("features", features, None, 0, warm_start=_tuned, make=setup.make_features),
            Stage("svm", svm, None, 0, make=setup.make_machines),
            Stage("regression", regression, None, 0, make=setup.make_regressors),
            Stage("test", test, setup.val(), 0, hooks, _together),
        ),
        presentation(names, setup.searched, min_score=MARGIN),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Setup:
    """The stages' parts. Nothing is read before it is needed, by when earlier stages have made it."""

    source: Source
    config: Config
    inputs: Inputs

    @property
    def classes(self) -> int:
        """Without the background."""
        return self.source.num_classes - 1

    @functools.cached_property
    def look(self) -> Look:
        """The network as it is used."""
        network, mean, std = self.config.network, self.source.mean, self.source.std
        model, at_once = network.make(None), self.config.features.windows
        return Look(model, self.config.warping, mean, std, *network.features, at_once=at_once)

    @functools.cached_property
    def frames(self) -> Canvases:
        """One square canvas, since windows of all images come in one batch."""
        view = self.config.view
        return Canvases(view.short, view.long, ((view.long, view.long),))

    @functools.cached_property
    def training(self) -> Split:
        """What is learned from."""
        return self._split(self.config.train_split)

    @functools.cached_property
    def testing(self) -> Split:
        """What the figures are of."""
        return self._split(self.config.val_split)

    @functools.cached_property
    def store(self) -> FeatureStore:
        """The features of the training images."""
        widths = dict(zip((MACHINE, REGRESSOR), self.look.widths(), strict=True))
        numbers = self.config.features
        empty = FeatureStore(self.inputs.folder("features"), widths, {}, numbers.precision, numbers.per_shard)
        return feature_store(empty, self.training, self.config.regression.min_iou)

    def tuning_task(self) -> Task:
        """A classifier of windows."""
        model, tx = self.config.network.make(self.source.num_classes), self.config.optimizer.make(self.config.steps)
        return rcnn.on_windows(classification(model, tx, mean=self.source.mean, std=self.source.std), self.look.pixels)

    def tuning_data(self) -> Data:
        """Windows of all images at random."""
        config, inputs = self.config, self.inputs

        def windows() -> Data:
            found = tuning_windows(self.training, config.finetune.positive_iou)
            transform = self.frames.train(1, flip=config.view.flip, fill=self.source.mean)
            positives = round(config.finetune.positives * config.batch_size)
            order = InShares(found.labels > 0, positives, config.batch_size, inputs.seed)
            options: dict[str, Any] = {"seed": inputs.seed, "workers": inputs.workers, "strict": inputs.strict}
            return pipeline.train(found, transform, config.batch_size, order=order, **options)

        return later(windows)

    def val(self) -> Data:
        """Every image to be evaluated, once."""
        records, most = self.testing.records, self.config.proposals.most
        return later(lambda: self._once(Proposed(records, self.testing.proposals), most))

    def searched(self, files: Records) -> Data:
        """A user's images, searched as they are read."""
        numbers = self.config.proposals
        return self._once(Searched(files, numbers.strategy, self.inputs.seed, numbers.most), numbers.most)

    def find_proposals(self, predict: Predict, state: TrainState, say: Say) -> tuple[TrainState, Result]:
        """Of the images of both splits."""
        for split, name in ((self.training, "training"), (self.testing, "test")):
            say(f"proposals: {len(split.records)} {name} images")
            if not (found := sum(map(len, split.proposals))):
                raise ValueError(f"no proposals in the {name} images; check --data, or take another strategy")
            say(f"proposals: {found / len(split.records):.0f} an image")
        figures = {**coverage(self.testing), "proposals/megabytes": self.inputs.megabytes("proposals")}
        return state, {**figures, "proposals": draw_proposals(self.testing)}

    def make_features(self, predict: Predict, state: TrainState, say: Say) -> tuple[TrainState, Result]:
        """Of all windows of the training images, on disk."""
        most = max(len(windows) for windows in self.training.windows)

        def look(items: Int[np.ndarray, " M"]) -> Data:
            return self._once(Subset(Proposed(self.training.records, self.training.windows), items), most)

        min_iou = self.config.regression.min_iou
        write_features(self.store, self.training, min_iou, look, partial(predict, state), say)
        windows = float(sum(len(windows) for windows in self.training.windows))
        return state, {"features/windows": windows, "features/megabytes": self.inputs.megabytes("features")}

    def make_machines(self, predict: Predict, state: TrainState, say: Say) -> tuple[TrainState, Result]:
        """The SVMs."""
        found = learn_machines(self.store, self.training, self.classes, self.config.svm)
        figures = {
            "svm/fits": float(len(found.rounds)),
            "svm/negatives": float(np.mean([r.negatives for r in found.rounds])),
            "svm/hard_negatives": float(sum(r.new for r in found.rounds if r.images > 1)),
            "svm/unfinished_fits": float(found.unfinished),
        }
        drawn = draw_hard_negatives(found.rounds, self._pixels, self.source.class_names)
        params = {"kernel": jnp.asarray(found.kernel, jnp.float32), "bias": jnp.asarray(found.bias, jnp.float32)}
        shown = {} if drawn is None else {"hard_negatives": drawn}
        return dataclasses.replace(state, params=params), {**figures, **shown}

    def make_regressors(self, predict: Predict, state: TrainState, say: Say) -> tuple[TrainState, Result]:
        """The box regressors."""
        numbers = self.config.regression
        found = learn_regressors(self.store, self.training, self.classes, numbers, self.config.svm.norm)
        params = {
            "kernel": jnp.asarray(np.stack([r.kernel for r in found]), jnp.float32),
            "bias": jnp.asarray(np.stack([r.bias for r in found]), jnp.float32),
        }
        return dataclasses.replace(state, params=params), {"regression/pairs": float(self.store.rows[REGRESSOR].sum())}

    def _split(self, split: str) -> Split:
        records, config = self.source[split], self.config
        return Split(records, lambda: searched(self.inputs, config.data, split, records, config.proposals))

    def _once(self, records: Records, most: int) -> Data:
        transform = self.frames.evaluate(self.config.view.max_objects, max_proposals=most, fill=self.source.mean)
        each = jax.local_device_count()
        images = -(-self.config.features.images // each) * each  # all devices have as many
        return self.inputs.evaluate(records, transform, images)

    def _pixels(self, places: list[tuple[int, int]]) -> UInt8[np.ndarray, "N S S 3"]:
        """Windows of training images as the network sees them: (image, window) each."""
        see = jax.jit(self.look.pixels)
        transform = self.frames.evaluate(1, max_proposals=1, fill=self.source.mean)
        found = []
        for image, window in places:
            record = {"image": self.training.records[image]["image"]}
            boxes = self.training.windows[image][window : window + 1]
            batch = transform({**record, "proposals": boxes}, np.random.default_rng(0))
            found.append(np.asarray(see(batch["image"][None], batch["proposals"][None])[0, 0]))
        return np.stack(found)


def _tuned(state: TrainState, done: Mapping[str, TrainState]) -> TrainState:
    """The tuned network, without its classifier."""
    tuned = done["finetune"]
    params = {name: tuned.params[name] for name in state.params}
    return dataclasses.replace(state, params=params, model_state=tuned.model_state)


def _together(state: TrainState, done: Mapping[str, TrainState]) -> TrainState:
    """All that was learned."""
    network = done["features"]
    params = {"network": network.params, "svm": done["svm"].params, "regression": done["regression"].params}
    return dataclasses.replace(state, params=params, model_state=network.model_state)


def _unmoved(metric: Metric) -> Metric:
    """The figures of windows as they were proposed: what box regression adds is the difference."""

    def update(total: Any, outputs: Any, batch: Any) -> Any:
        return metric.update(total, outputs["unmoved"], batch)

    def result(total: Any) -> Result:
        return {f"{name}_unmoved": value for name, value in metric.result(total).items() if name in ("AP", "AP50")}

    return metric._replace(update=update, result=result)
