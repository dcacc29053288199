"""R-CNN's flags, and the parts of its six stages."""

import dataclasses
import functools
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int, UInt8

from jaxvision.data.canvas import Canvases
from jaxvision.data.feature_store import FeatureStore
from jaxvision.data.inputs import Inputs
from jaxvision.data.object_counts import evaluation_slots, rounded
from jaxvision.data.order import InShares
from jaxvision.data.pixel_scale import AS_DATA, PixelScale
from jaxvision.data.proposals import Proposed
from jaxvision.data.records import Records, Source, Subset, evenly
from jaxvision.evals.best_of_set import best_of_set
from jaxvision.evals.detection_curves import detection_curves
from jaxvision.evals.detection_errors import worst_errors
from jaxvision.evals.evaluated import evaluated
from jaxvision.fits.box_regression import RegressionConfig
from jaxvision.fits.hard_negatives import MiningConfig
from jaxvision.models.precision import in_precision
from jaxvision.recipes.detection_data import check_objects
from jaxvision.recipes.detection_outputs import SHOWN, average_precision, draw, file_names, results_file, unmoved
from jaxvision.recipes.detection_times import window_times
from jaxvision.recipes.detector_config import DetectorView
from jaxvision.recipes.lazy_data import lazily
from jaxvision.recipes.rcnn_features import REGRESSOR_FEATURES, SVM_FEATURES, with_rows, write_features
from jaxvision.recipes.rcnn_fits import fit_regressors, fit_svms
from jaxvision.recipes.rcnn_networks import FeatureFlags, FinetuneFlags, WindowNetwork
from jaxvision.recipes.rcnn_pictures import draw_hard_negatives, window_pixels
from jaxvision.recipes.rcnn_proposals import coverage, draw_proposals
from jaxvision.recipes.rcnn_windows import WindowSplit, labelled_windows
from jaxvision.recipes.searched_proposals import SelectiveSearchFlags, search_split, search_when_read
from jaxvision.tasks import rcnn
from jaxvision.tasks.classification import classification
from jaxvision.tasks.rcnn import Classifier, Look, Reported, Warping
from jaxvision.train.hooks import evaluate, picture
from jaxvision.train.optim import Optimizer
from jaxvision.train.rates import log_rate
from jaxvision.train.types import Data, Hook, Metric, Predict, Result, Say, Task, TrainState

_LEAST = {"svm": 0.0, "softmax": 0.5}  # score of a detection that is drawn: the boundary of the SVM, an even chance


@dataclasses.dataclass(frozen=True)
class RCNNConfig:
    """Fields of R-CNN; the defaults are those of the preset `quick`."""

    # Not a SplitConfig: nothing is evaluated before the end, so there is no eval_every.
    data: str = "scenes:count=1024"  # where images come from: scenes, voc:DIR, coco:DIR, tfds:NAME
    train_split: str = "train"  # split that is trained on, such as trainval or train[:90%]
    val_split: str = "val"  # split that is evaluated, such as test
    protocol: Literal["coco", "voc07_11pt", "voc10_area"] = "coco"  # how average precision is computed
    proposals: SelectiveSearchFlags = SelectiveSearchFlags(most=128)
    network: WindowNetwork = WindowNetwork(width=0.25)
    warping: Warping = Warping(64, 5)
    pixels: PixelScale = AS_DATA
    view: DetectorView = DetectorView()
    finetune: FinetuneFlags = FinetuneFlags()
    batch_size: int = 128  # windows in a step of fine-tuning
    steps: int = 800  # training steps of fine-tuning
    optimizer: Optimizer = Optimizer(lr=0.05, weight_decay=5e-4, schedule="cosine", warmup_steps=50, clip_norm=10.0)
    features: FeatureFlags = FeatureFlags()
    classifier: Classifier = "svm"  # of features: SVMs, or the softmax of fine-tuning (appendix B of the paper)
    svm: MiningConfig = MiningConfig()
    regression: RegressionConfig = RegressionConfig()
    test: Reported = Reported()


@dataclasses.dataclass(frozen=True, eq=False)
class RCNNSetup:
    """The parts of the stages. Data is read when a stage needs it, after earlier stages have written it."""

    config: RCNNConfig  # the experiment's flags
    inputs: Inputs  # seed, workers and workdir of the run
    source: Source  # the images of `--data`

    @property
    def classes(self) -> int:
        """Number of classes without the background."""
        return self.source.num_classes - 1

    @property
    def least_score(self) -> float:
        """Least score of a detection that is drawn."""
        return _LEAST[self.config.classifier]

    @functools.cached_property
    def look(self) -> Look:
        """The network, with how windows are warped for it."""
        network, mean, std = self.config.network, self.source.mean, self.source.std
        model, at_once = in_precision(network.make(None), self.inputs.precision), self.config.features.windows
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

    def check(self) -> None:
        """Refuse data without objects to learn from, and say what cannot be evaluated; see `check_objects`."""
        most = {"--test.detections": self.config.test.detections, "--proposals.most": self.config.proposals.most}
        splits = self.config.train_split, self.config.val_split
        check_objects(self.source, self.config.data, *splits, training=self.inputs.training, most=most)

    def classifier(self) -> Task:
        """Return the task of fine-tuning: the network as a classifier of windows."""
        optimizer = self.config.optimizer.at(self.config.batch_size)
        model = in_precision(self.config.network.make(self.source.num_classes), self.inputs.precision)
        tx = optimizer.make(self.config.steps)
        task = classification(model, tx, mean=self.source.mean, std=self.source.std)
        return rcnn.on_windows(log_rate(task, optimizer, self.config.steps), self.look.pixels)

    def windows(self) -> Data:
        """Return the batches of fine-tuning: windows of random images, with the flags' fraction of objects."""
        config, inputs = self.config, self.inputs

        def read() -> Data:
            windows = labelled_windows(self.training, config.finetune.positive_iou)
            transform = self.frames.train(1, flip=config.view.flip, fill=self.source.mean)
            positives = round(config.finetune.positives * config.batch_size)
            order = InShares(windows.labels > 0, positives, config.batch_size, inputs.seed)
            return inputs.train(windows, transform, config.batch_size, order=order)

        return lazily(read)

    def val(self) -> Data:
        """Return the images that are evaluated, each once with its proposals."""
        records, most = self.testing.records, self.config.proposals.most
        return lazily(lambda: self._each_once(Proposed(records, self.testing.proposals), most, self._test_slots))

    def sample(self) -> Data:
        """Return evaluated images for a picture, spread over the whole split, each with its proposals."""
        records, most = self.testing.records, self.config.proposals.most
        few = min(SHOWN, self.config.features.images)
        return lazily(
            lambda: self._each_once(evenly(Proposed(records, self.testing.proposals), few), most, self._test_slots)
        )

    def read(self, files: Records) -> Data:
        """Return a user's images, which are searched for proposals as they are read."""
        search = self.config.proposals
        return self._each_once(search_when_read(files, search, self.inputs.seed), search.most)

    def test_hooks(self) -> tuple[Hook, ...]:
        """Return the hooks of average precision with and without box regression, of errors, pictures and times."""
        config, names, val = self.config, self.source.class_names, self.val()
        precision = average_precision(names, config.protocol)
        measured: tuple[Metric, ...] = precision, unmoved(precision), detection_curves(names)
        if config.test.of_set:
            measured = tuple(best_of_set(metric, config.test.of_set) for metric in measured)
        split = self.testing.records
        counted, results = evaluated(len(split), len(self.source.left_out)), results_file(self.inputs, split)
        metrics = (
            counted,
            *measured,
            worst_errors(names, min_score=self.least_score, name_of=file_names(split)),
            *results,
        )
        return (
            evaluate(metrics, val),
            picture("detections", self.sample(), partial(draw, class_names=names, min_score=self.least_score)),
            window_times(self.look, config.test, self.testing.records, val, config.proposals, self.inputs.seed),
        )

    def find_proposals(self, predict: Predict, state: TrainState, say: Say) -> tuple[TrainState, Result]:
        """Search the images of both splits for proposals.

        Args:
            predict: not used, since nothing has been learned yet.
            state: the new state of the stage.
            say: writes a line to the log.

        Returns:
            The same state; metrics and a picture of the proposals.
        """
        for split, name in ((self.training, "training"), (self.testing, "test")):
            say(f"proposals: {len(split.records)} {name} images")
            if not (total := sum(map(len, split.proposals))):
                raise ValueError(f"no proposals in the {name} images; check --data, or take another strategy")
            say(f"proposals: {total / len(split.records):.0f} an image")
        metrics = {**coverage(self.testing), "proposals/megabytes": self.inputs.megabytes("proposals")}
        return state, {**metrics, "proposals": draw_proposals(self.testing)}

    def make_features(self, predict: Predict, state: TrainState, say: Say) -> tuple[TrainState, Result]:
        """Write the features of all windows of the training images to disk.

        Args:
            predict: computes the features of a batch.
            state: the new state of the stage.
            say: writes a line to the log.

        Returns:
            The same state; the number of windows and the space on disk.
        """
        most = max(len(windows) for windows in self.training.windows)

        def read(items: Int[np.ndarray, " M"]) -> Data:
            return self._each_once(Subset(Proposed(self.training.records, self.training.windows), items), most)

        min_iou = self.config.regression.min_iou
        write_features(self.store, self.training, min_iou, read, partial(predict, state), say)
        windows = float(sum(len(windows) for windows in self.training.windows))
        return state, {"features/windows": windows, "features/megabytes": self.inputs.megabytes("features")}

    def make_svms(self, predict: Predict, state: TrainState, say: Say) -> tuple[TrainState, Result]:
        """Fit an SVM for each class.

        Args:
            predict: not used.
            state: the new state of the stage.
            say: writes a line to the log.

        Returns:
            The state with the SVMs; metrics and a picture of hard negatives.
        """
        svms = fit_svms(self.store, self.training, self.classes, self.config.svm)
        metrics = {
            "svm/fits": float(len(svms.rounds)),
            "svm/negatives": float(np.mean([r.negatives for r in svms.rounds])),
            "svm/hard_negatives": float(sum(r.new for r in svms.rounds if r.images > 1)),
            "svm/unfinished_fits": float(svms.unfinished),
        }

        def pixels(places: list[tuple[int, int]]) -> UInt8[np.ndarray, "N S S 3"]:
            return window_pixels(self.training, places, self.frames, self.look, self.source.mean)

        drawn = draw_hard_negatives(svms.rounds, pixels, self.source.class_names)
        params = {"kernel": jnp.asarray(svms.kernel, jnp.float32), "bias": jnp.asarray(svms.bias, jnp.float32)}
        pictures = {} if drawn is None else {"hard_negatives": drawn}
        return dataclasses.replace(state, params=params), {**metrics, **pictures}

    def make_regressors(self, predict: Predict, state: TrainState, say: Say) -> tuple[TrainState, Result]:
        """Fit a box regressor for each class.

        Args:
            predict: not used.
            state: the new state of the stage.
            say: writes a line to the log.

        Returns:
            The state with the regressors; the number of windows that they are fitted to.
        """
        config, norm = self.config.regression, self.config.svm.norm
        regressors = fit_regressors(self.store, self.training, self.classes, config, norm)
        params = {
            "kernel": jnp.asarray(np.stack([r.kernel for r in regressors]), jnp.float32),
            "bias": jnp.asarray(np.stack([r.bias for r in regressors]), jnp.float32),
        }
        return dataclasses.replace(state, params=params), {
            "regression/pairs": float(self.store.rows[REGRESSOR_FEATURES].sum())
        }

    @functools.cached_property
    def _test_slots(self) -> int:
        return evaluation_slots(self.testing.records)

    def _split(self, split: str) -> WindowSplit:
        records, config = self.source[split], self.config
        return WindowSplit(records, lambda: search_split(self.inputs, config.data, split, records, config.proposals))

    def _each_once(self, records: Records, most: int, slots: int = rounded(0)) -> Data:
        transform = self.frames.evaluate(slots, max_proposals=most, fill=self.source.mean)
        devices = jax.local_device_count()
        batch_size = -(-self.config.features.images // devices) * devices  # the same number on each device
        return self.inputs.evaluate(records, transform, batch_size)
