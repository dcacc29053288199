"""The parts of an experiment with a two-stage detector: task, data, hooks and presentation."""

import dataclasses
import functools
from collections.abc import Sequence
from functools import partial

import numpy as np
from jaxtyping import Int

from jaxvision.data.canvas import MASK_SIZE, Canvases
from jaxvision.data.inputs import Inputs
from jaxvision.data.object_counts import Slots, evaluation_slots, rounded
from jaxvision.data.proposals import Proposed
from jaxvision.data.records import Records, Source, evenly
from jaxvision.evals.detection_curves import detection_curves
from jaxvision.evals.detection_errors import worst_errors
from jaxvision.evals.evaluated import evaluated
from jaxvision.evals.proposal_recall import proposal_recall
from jaxvision.models.faster_rcnn import FasterRCNN
from jaxvision.recipes.detection_data import check_objects, slots_of
from jaxvision.recipes.detection_outputs import SHOWN, average_precision, draw, file_names, presentation, results_file
from jaxvision.recipes.detector_config import TwoStageConfig
from jaxvision.recipes.lazy_data import lazily
from jaxvision.recipes.searched_proposals import SelectiveSearchFlags, search_both, search_split, search_when_read
from jaxvision.tasks.detection import Origin, detection
from jaxvision.tasks.proposals import ProposalConfig
from jaxvision.train.hooks import evaluate, picture
from jaxvision.train.rates import log_rate
from jaxvision.train.steps import Trainable, everything
from jaxvision.train.types import Data, Hook, Metric, Predict, Presentation, Result, Say, Task, TrainState

RECALL_AT = (10, 50, 100, 300, 1000)  # proposals an image


@dataclasses.dataclass(frozen=True)
class DetectorSetup:
    """A two-stage detector with its data, from which the stages of an experiment are made."""

    config: TwoStageConfig  # the experiment's flags
    inputs: Inputs  # seed, workers and workdir of the run
    source: Source  # the images of `--data`
    network: FasterRCNN
    proposals: ProposalConfig | SelectiveSearchFlags  # of the network's first stage, or searched for before training

    def check(self) -> None:
        """Refuse data without what the network learns from, and say what cannot be evaluated; see `check_objects`."""
        most = {"--detecting.detections": self.config.detecting.detections}
        if isinstance(self.proposals, ProposalConfig):
            most["--proposing.test_after_nms"] = self.proposals.test_after_nms
        else:
            most["--proposals.most"] = self.proposals.most
        check_objects(
            self.source,
            self.config.data,
            self.config.train_split,
            self.config.val_split,
            training=self.inputs.training,
            masks=self._mask_size() > 0,
            most=most,
        )

    def task(
        self,
        stages: tuple[str, ...] = ("proposals", "regions"),
        trainable: Trainable = everything,
        *,
        origin: Origin = "own",
    ) -> Task:
        """Return the task that trains the network.

        Args:
            stages: the stages of the network whose losses are added up: "proposals", "regions" or both.
            trainable: tells by its path whether a parameter is trained.
            origin: where proposals come from, see `tasks.detection`.

        Returns:
            The task, with the optimizer of the flags.
        """
        optimizer = self.config.optimizer.at(self.config.batch_size)
        task = detection(
            self.network,
            optimizer.make(self.config.steps),
            mean=self.source.mean,
            std=self.source.std,
            proposing=self.proposals if isinstance(self.proposals, ProposalConfig) else ProposalConfig(),
            detecting=self.config.detecting,
            stages=stages,
            trainable=trainable,
            origin=origin,
        )
        return log_rate(task, optimizer, self.config.steps)

    def train(self) -> Data:
        """Return augmented training batches, each of images of one canvas."""
        view, split = self.config.view, self.config.train_split
        frames, records = view.make(), self.source[split]
        transform = frames.train(
            self._slots.objects,
            regions=self._slots.regions,
            shorts=view.shorts,
            flip=view.flip,
            mask_size=self._mask_size(),
            max_proposals=self._max_searched(),
            fill=self.source.mean,
        )
        return lazily(
            lambda: self.inputs.train(
                self._with_proposals(split), transform, self.config.batch_size, _groups(frames, records)
            )
        )

    def val(self) -> Data:
        """Return the images that are evaluated, each once."""
        split = self.config.val_split
        self.source[split]  # raises for a wrong name now and not after training
        return lazily(lambda: self._each_once(self._with_proposals(split), self._val_slots, self._mask_size()))

    def sample(self) -> Data:
        """Return evaluated images for a picture, spread over the whole split."""
        split, most = self.config.val_split, min(SHOWN, self.config.batch_size)
        return lazily(
            lambda: self._each_once(evenly(self._with_proposals(split), most), self._val_slots, self._mask_size())
        )

    def search(self, predict: Predict, state: TrainState, say: Say) -> tuple[TrainState, Result]:
        """Search the images of both splits for proposals: the `make` of a first stage.

        Args:
            predict: not used, since nothing has been learned yet.
            state: returned as it is.
            say: writes a line to the log.

        Returns:
            The state, and the mean number of proposals of an image in each split.
        """
        return state, search_both(self.config, self.source, self._searched, say)

    def hooks(self) -> tuple[Hook, ...]:
        """Return the hooks of average precision, recall of proposals, the worst errors, and pictures of detections."""
        names, every = self.source.class_names, self.config.eval_every
        precision = average_precision(names, self.config.protocol, masks=self._mask_size() > 0)
        val = self.source[self.config.val_split]
        counted, results = evaluated(len(val), len(self.source.left_out)), results_file(self.inputs, val)
        worst = worst_errors(names, name_of=file_names(val))
        return (
            evaluate(
                (counted, precision, self.recall(), detection_curves(names), worst, *results),
                self.val(),
                every=every,
            ),
            picture("detections", self.sample(), partial(draw, class_names=names), every=every),
        )

    def recall(self) -> Metric:
        """Return the metric of recall by the best 10, 50, … proposals of an image, up to all that there are."""
        proposals = self.proposals
        most = proposals.test_after_nms if isinstance(proposals, ProposalConfig) else proposals.most
        return proposal_recall(tuple(n for n in RECALL_AT if n < most) + (most,))

    def presentation(self) -> Presentation:
        """Return what `--mode=predict` writes of a user's images."""

        def read(files: Records) -> Data:
            if isinstance(self.proposals, SelectiveSearchFlags):
                files = search_when_read(files, self.proposals, self.inputs.seed)
            return self._each_once(files, rounded(0), mask_size=0)

        prepare = self.config.view.make().prepare(self.source.mean)
        return presentation(self.source.class_names, read, prepare=prepare)

    @functools.cached_property
    def _slots(self) -> Slots:
        split = self.config.train_split
        return slots_of(self.source[split], split, self.config.view.max_objects, training=self.inputs.training)

    @functools.cached_property
    def _val_slots(self) -> int:
        return evaluation_slots(self.source[self.config.val_split])

    def _each_once(self, records: Records, slots: int, mask_size: int) -> Data:
        frames = self.config.view.make()
        transform = frames.evaluate(
            slots,
            mask_size=mask_size,
            max_proposals=self._max_searched(),
            fill=self.source.mean,
        )
        return self.inputs.evaluate(records, transform, self.config.batch_size, _groups(frames, records))

    def _with_proposals(self, split: str) -> Records:
        records = self.source[split]
        return records if isinstance(self.proposals, ProposalConfig) else Proposed(records, self._searched(split))

    def _searched(self, split: str) -> Sequence:  # of boxes; a check of that would read them
        assert isinstance(self.proposals, SelectiveSearchFlags)
        return search_split(self.inputs, self.config.data, split, self.source[split], self.proposals)

    def _max_searched(self) -> int:
        return self.proposals.most if isinstance(self.proposals, SelectiveSearchFlags) else 0

    def _mask_size(self) -> int:
        return 0 if self.network.mask_head is None else MASK_SIZE


def _groups(frames: Canvases, records: Records) -> Int[np.ndarray, " N"] | None:
    """Return the number of each image's canvas; None where there is one canvas for all."""
    return frames.groups(records) if len(frames.shapes) > 1 else None
