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
from jaxvision.data.proposals import Proposed
from jaxvision.data.records import Records, Source, Subset
from jaxvision.evals.detection_errors import worst_errors
from jaxvision.fits.box_regression import RegressionConfig
from jaxvision.fits.hard_negatives import MiningConfig
from jaxvision.recipes.detection_outputs import average_precision, draw, presentation, unmoved
from jaxvision.recipes.detection_times import window_times
from jaxvision.recipes.detector_config import PHOTOS_VIEW, VOC07, DetectorView
from jaxvision.recipes.lazy_data import lazily
from jaxvision.recipes.rcnn_features import REGRESSOR_FEATURES, SVM_FEATURES, with_rows, write_features
from jaxvision.recipes.rcnn_fits import fit_regressors, fit_svms
from jaxvision.recipes.rcnn_networks import FeatureFlags, FinetuneFlags, WindowNetwork
from jaxvision.recipes.rcnn_pictures import draw_hard_negatives, draw_windows, window_pixels
from jaxvision.recipes.rcnn_proposals import coverage, draw_proposals
from jaxvision.recipes.rcnn_windows import WindowSplit, labelled_windows
from jaxvision.recipes.searched_proposals import SelectiveSearchFlags, search_split, search_when_read
from jaxvision.tasks import rcnn
from jaxvision.tasks.classification import classification
from jaxvision.tasks.rcnn import Look, Reported, Warping
from jaxvision.train.hooks import evaluate, picture
from jaxvision.train.optim import Optimizer
from jaxvision.train.rates import log_rate
from jaxvision.train.steps import nothing
from jaxvision.train.types import Data, Experiment, Hook, Predict, Result, Say, Stage, Task, TrainState

MARGIN = 0.0  # least score of a detection that is drawn: the SVM's boundary between object and background


@dataclasses.dataclass(frozen=True)
class Config:
    """Fields are flags; `quick` is the default preset."""

    # Not a SplitConfig: nothing is evaluated before the end, so there is no eval_every.
    data: str = "scenes:count=1024"  # where images come from: scenes, voc:DIR, coco:DIR, tfds:NAME
    train_split: str = "train"  # split that is trained on, such as trainval or train[:90%]
    val_split: str = "val"  # split that is evaluated, such as test
    protocol: Literal["coco", "voc07_11pt", "voc10_area"] = "coco"  # how average precision is computed
    proposals: SelectiveSearchFlags = SelectiveSearchFlags(most=128)
    network: WindowNetwork = WindowNetwork(width=0.25)
    warping: Warping = Warping(64, 5)
    view: DetectorView = DetectorView()
    finetune: FinetuneFlags = FinetuneFlags()
    batch_size: int = 128  # windows in a step of fine-tuning
    steps: int = 800  # training steps of fine-tuning
    optimizer: Optimizer = Optimizer(lr=0.05, weight_decay=5e-4, schedule="cosine", warmup_steps=50, clip_norm=10.0)
    features: FeatureFlags = FeatureFlags()
    svm: MiningConfig = MiningConfig()
    regression: RegressionConfig = RegressionConfig()
    test: Reported = Reported()


PRESETS = {
    "quick": Config(),
    "photos": Config(  # a few hundred photographs of one's own, from random weights
        data="voc:photos",
        proposals=SelectiveSearchFlags(most=1000),
        network=WindowNetwork(width=0.5),
        view=PHOTOS_VIEW,
        steps=2000,
        features=FeatureFlags(images=2),
    ),
    "paper": Config(  # VOC07 with AlexNet; the paper starts from ImageNet's weights
        **VOC07,
        proposals=SelectiveSearchFlags("rcnn"),
        network=WindowNetwork("alexnet"),
        warping=Warping(),
        view=DetectorView(500, 500, flip=0.5, max_objects=64),
        steps=70_000,
        optimizer=Optimizer(
            lr=0.001, weight_decay=5e-4, decay_norms=True, schedule="step", milestones=(2 / 7, 4 / 7, 6 / 7)
        ),
        features=FeatureFlags(images=1, windows=128),
    ),
    "smoke": Config(
        data="scenes:count=8,size=64",
        proposals=SelectiveSearchFlags(most=16),
        network=WindowNetwork(width=0.0625),
        warping=Warping(32, 2),
        view=DetectorView(64, 64),
        batch_size=8,
        steps=2,
        features=FeatureFlags(windows=8, per_shard=2),
        test=Reported(detections=8),
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train and test R-CNN in six stages: only `finetune` takes training steps, the others make what it needs."""
    if jax.process_count() > 1:
        raise ValueError("detection/rcnn runs in one process: leave --num_processes out")
    setup = RCNNSetup(inputs.source(config.data, "boxes"), config, inputs)
    names, classes, (machine_width, regressor_width) = setup.source.class_names, setup.classes, setup.look.widths()
    windows = setup.windows()
    shown = picture("windows", windows, partial(draw_windows, class_names=names))
    svm, regression = rcnn.machines(machine_width, classes), rcnn.regressors(regressor_width, classes)
    test = rcnn.rcnn(setup.look, classes, config.test)
    return Experiment(
        (
            Stage("proposals", nothing(), None, 0, make=setup.find_proposals),
            Stage("finetune", setup.classifier(), windows, config.steps, (shown,)),
            Stage("features", rcnn.features(setup.look), None, 0, warm_start=_finetuned, make=setup.make_features),
            Stage("svm", svm, None, 0, make=setup.make_machines),
            Stage("regression", regression, None, 0, make=setup.make_regressors),
            Stage("test", test, setup.val(), 0, setup.test_hooks(), _detector),
        ),
        presentation(names, setup.read, min_score=MARGIN),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class RCNNSetup:
    """The parts of the stages. Data is read when a stage needs it, after earlier stages have written it."""

    source: Source  # the images of `--data`
    config: Config  # the experiment's flags
    inputs: Inputs  # seed, workers and workdir of the run

    @property
    def classes(self) -> int:
        """Number of classes without the background."""
        return self.source.num_classes - 1

    @functools.cached_property
    def look(self) -> Look:
        """The network, with how windows are warped for it."""
        network, mean, std = self.config.network, self.source.mean, self.source.std
        model, at_once = network.make(None), self.config.features.windows
        return Look(model, self.config.warping, mean, std, *network.features, at_once=at_once)

    @functools.cached_property
    def frames(self) -> Canvases:
        """The canvas of every image: one square, since a batch has windows of several images."""
        view = self.config.view
        return Canvases(view.short, view.long, ((view.long, view.long),))

    @functools.cached_property
    def training(self) -> WindowSplit:
        """Images, objects and windows of the split that is trained on."""
        return self._split(self.config.train_split)

    @functools.cached_property
    def testing(self) -> WindowSplit:
        """Images, objects and windows of the split that is evaluated."""
        return self._split(self.config.val_split)

    @functools.cached_property
    def store(self) -> FeatureStore:
        """Where features of the training images' windows are stored."""
        widths = dict(zip((SVM_FEATURES, REGRESSOR_FEATURES), self.look.widths(), strict=True))
        flags = self.config.features
        empty = FeatureStore(self.inputs.folder("features"), widths, {}, flags.precision, flags.per_shard)
        return with_rows(empty, self.training, self.config.regression.min_iou)

    def classifier(self) -> Task:
        """Return the task of fine-tuning: the network as a classifier of windows."""
        model, tx = self.config.network.make(self.source.num_classes), self.config.optimizer.make(self.config.steps)
        task = classification(model, tx, mean=self.source.mean, std=self.source.std)
        return rcnn.on_windows(log_rate(task, self.config.optimizer, self.config.steps), self.look.pixels)

    def windows(self) -> Data:
        """Return the batches of fine-tuning: windows of random images, with the flags' fraction of objects."""
        config, inputs = self.config, self.inputs

        def read() -> Data:
            windows = labelled_windows(self.training, config.finetune.positive_iou)
            transform = self.frames.train(1, flip=config.view.flip, fill=self.source.mean)
            positives = round(config.finetune.positives * config.batch_size)
            order = InShares(windows.labels > 0, positives, config.batch_size, inputs.seed)
            options: dict[str, Any] = {"seed": inputs.seed, "workers": inputs.workers, "strict": inputs.strict}
            return pipeline.train(windows, transform, config.batch_size, order=order, **options)

        return lazily(read)

    def val(self) -> Data:
        """Return the images that are evaluated, each once with its proposals."""
        records, most = self.testing.records, self.config.proposals.most
        return lazily(lambda: self._each_once(Proposed(records, self.testing.proposals), most))

    def read(self, files: Records) -> Data:
        """Return a user's images, which are searched for proposals as they are read."""
        search = self.config.proposals
        return self._each_once(search_when_read(files, search, self.inputs.seed), search.most)

    def test_hooks(self) -> tuple[Hook, ...]:
        """Return the hooks of average precision with and without box regression, of errors, pictures and times."""
        config, names, val = self.config, self.source.class_names, self.val()
        precision = average_precision(names, config.protocol)
        return (
            evaluate((precision, unmoved(precision), worst_errors(names, min_score=MARGIN)), val),
            picture("detections", val, partial(draw, class_names=names, min_score=MARGIN)),
            window_times(self.look, config.test, self.testing.records, val, config.proposals, self.inputs.seed),
        )

    def find_proposals(self, predict: Predict, state: TrainState, say: Say) -> tuple[TrainState, Result]:
        """Search the images of both splits for proposals."""
        for split, name in ((self.training, "training"), (self.testing, "test")):
            say(f"proposals: {len(split.records)} {name} images")
            if not (total := sum(map(len, split.proposals))):
                raise ValueError(f"no proposals in the {name} images; check --data, or take another strategy")
            say(f"proposals: {total / len(split.records):.0f} an image")
        metrics = {**coverage(self.testing), "proposals/megabytes": self.inputs.megabytes("proposals")}
        return state, {**metrics, "proposals": draw_proposals(self.testing)}

    def make_features(self, predict: Predict, state: TrainState, say: Say) -> tuple[TrainState, Result]:
        """Write the features of all windows of the training images to disk."""
        most = max(len(windows) for windows in self.training.windows)

        def read(items: Int[np.ndarray, " M"]) -> Data:
            return self._each_once(Subset(Proposed(self.training.records, self.training.windows), items), most)

        min_iou = self.config.regression.min_iou
        write_features(self.store, self.training, min_iou, read, partial(predict, state), say)
        windows = float(sum(len(windows) for windows in self.training.windows))
        return state, {"features/windows": windows, "features/megabytes": self.inputs.megabytes("features")}

    def make_machines(self, predict: Predict, state: TrainState, say: Say) -> tuple[TrainState, Result]:
        """Fit an SVM for each class."""
        machines = fit_svms(self.store, self.training, self.classes, self.config.svm)
        metrics = {
            "svm/fits": float(len(machines.rounds)),
            "svm/negatives": float(np.mean([r.negatives for r in machines.rounds])),
            "svm/hard_negatives": float(sum(r.new for r in machines.rounds if r.images > 1)),
            "svm/unfinished_fits": float(machines.unfinished),
        }

        def pixels(places: list[tuple[int, int]]) -> UInt8[np.ndarray, "N S S 3"]:
            return window_pixels(self.training, places, self.frames, self.look, self.source.mean)

        drawn = draw_hard_negatives(machines.rounds, pixels, self.source.class_names)
        params = {"kernel": jnp.asarray(machines.kernel, jnp.float32), "bias": jnp.asarray(machines.bias, jnp.float32)}
        pictures = {} if drawn is None else {"hard_negatives": drawn}
        return dataclasses.replace(state, params=params), {**metrics, **pictures}

    def make_regressors(self, predict: Predict, state: TrainState, say: Say) -> tuple[TrainState, Result]:
        """Fit a box regressor for each class."""
        config, norm = self.config.regression, self.config.svm.norm
        regressors = fit_regressors(self.store, self.training, self.classes, config, norm)
        params = {
            "kernel": jnp.asarray(np.stack([r.kernel for r in regressors]), jnp.float32),
            "bias": jnp.asarray(np.stack([r.bias for r in regressors]), jnp.float32),
        }
        return dataclasses.replace(state, params=params), {
            "regression/pairs": float(self.store.rows[REGRESSOR_FEATURES].sum())
        }

    def _split(self, split: str) -> WindowSplit:
        records, config = self.source[split], self.config
        return WindowSplit(records, lambda: search_split(self.inputs, config.data, split, records, config.proposals))

    def _each_once(self, records: Records, most: int) -> Data:
        transform = self.frames.evaluate(self.config.view.max_objects, max_proposals=most, fill=self.source.mean)
        devices = jax.local_device_count()
        batch_size = -(-self.config.features.images // devices) * devices  # the same number on each device
        return self.inputs.evaluate(records, transform, batch_size)


def _finetuned(state: TrainState, done: Mapping[str, TrainState]) -> TrainState:
    """Take the fine-tuned network without its classifier."""
    tuned = done["finetune"]
    params = {name: tuned.params[name] for name in state.params}
    return dataclasses.replace(state, params=params, model_state=tuned.model_state)


def _detector(state: TrainState, done: Mapping[str, TrainState]) -> TrainState:
    """Put the network, the SVMs and the regressors together."""
    network = done["features"]
    params = {"network": network.params, "svm": done["svm"].params, "regression": done["regression"].params}
    return dataclasses.replace(state, params=params, model_state=network.model_state)
