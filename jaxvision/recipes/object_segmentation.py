"""The parts of DeconvNet's recipe: a stage on single objects, one on proposals, and a test on the best proposals."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

from jaxvision.data import object_crops
from jaxvision.data.proposals import Proposed
from jaxvision.data.records import Records
from jaxvision.recipes.lazy_data import lazily
from jaxvision.recipes.searched_proposals import SelectiveSearchFlags, search_both, search_split, search_when_read
from jaxvision.recipes.segmentation import SegmenterSetup, SegmenterView, pair, square
from jaxvision.train.types import Data, Predict, Presentation, Result, Say, TrainState


@dataclasses.dataclass(frozen=True)
class ObjectFlags:
    """Flags of training on objects and proposals (Noh et al. 2015, sections 4.2 and 5.2)."""

    steps: int = 0  # training steps on single objects, before those on proposals; 0: neither, but random crops
    milestones: tuple[float, ...] = (0.45, 0.9)  # fractions of these steps at which lr is cut
    resize: int = 250  # pixels a side that an object's surroundings are stretched to, before a random crop
    shown: int = 50  # proposals of a test image that are segmented
    least: int = 112  # pixels; a proposal with a shorter side is not segmented


@dataclasses.dataclass(frozen=True)
class ObjectSetup(SegmenterSetup):
    """A segmenter that learns from objects and proposals of Selective Search, and is tested on proposals."""

    flags: ObjectFlags = ObjectFlags()
    search: SelectiveSearchFlags = SelectiveSearchFlags()
    proposes: ClassVar[bool] = True

    def check(self) -> None:
        """Raise ValueError where a flag of the view is set that crops of objects and proposals do not use."""
        unused = ("scales", "shorter", "elastic", "rotate", "grey", "border")
        for field in unused:
            if getattr(self.config.view, field) != getattr(SegmenterView(), field):
                raise ValueError(
                    f"--view.{field}: crops of objects and proposals do not use it; leave it out, or --objects.steps"
                )

    def objects(self) -> Data:
        """Open the training split: a random object of each image, all else labelled as background."""
        return self._crops(self.source[self.config.train_split], proposals=False)

    def train(self) -> Data:
        """Open the training split: a random proposal near an object of each image, with all labels."""
        return lazily(lambda: self._crops(self._searched(self.config.train_split), proposals=True))

    def val(self) -> Data:
        """Open the validation split: every image once, with its best proposals."""
        self.source[self.config.val_split]  # raises for a wrong name now and not after training
        return lazily(lambda: self._on_canvas(self._searched(self.config.val_split)))

    def find_proposals(self, predict: Predict, state: TrainState, say: Say) -> tuple[TrainState, Result]:
        """Search the images of both splits for proposals: the `make` of a first stage.

        Args:
            predict: not used, since nothing has been learned yet.
            state: returned as it is.
            say: writes a line to the log.

        Returns:
            The state, and the mean number of proposals of an image in each split.
        """
        return state, search_both(self.config, self.source, self._stored, say)

    def presentation(self) -> Presentation:
        """Return what `--mode=predict` shows; a user's images are searched for proposals as they are read.

        Nothing is said of how images are resized, since an exported program needs their proposals too.
        """

        def read(files: Records) -> Data:
            return self._on_canvas(search_when_read(files, self.search, self.inputs.seed))

        return super().presentation()._replace(data=read, prepare={})

    def _crops(self, records: Records, *, proposals: bool) -> Data:
        view, flags = self.config.view, self.flags
        side = square("view.size", view.size)
        kind: dict[str, Any] = {"proposals": proposals, "flip": 0.5 if view.flip else 0.0, "fill": self.source.mean}
        transform = object_crops.train(side, resize=flags.resize, **kind)
        return self.inputs.train(records, transform, self.config.batch_size)

    def _on_canvas(self, records: Records) -> Data:
        size, flags = pair("view.test_size", self.config.view.test_size), self.flags
        transform = object_crops.evaluate(size, most=flags.shown, least=flags.least, fill=self.source.mean)
        return self.inputs.evaluate(records, transform, self.config.batch_size)

    def _searched(self, split: str) -> Records:
        return Proposed(self.source[split], self._stored(split))

    def _stored(self, split: str) -> Sequence:  # of boxes; a check of that would read them
        return search_split(self.inputs, self.config.data, split, self.source[split], self.search)
