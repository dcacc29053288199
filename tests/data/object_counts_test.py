"""Slots for objects, from readers that know their numbers and from those that do not."""

import dataclasses

import numpy as np
import pytest

from jaxvision.data import sources
from jaxvision.data.annotated_images import AnnotationsBuilder
from jaxvision.data.classes import Renumbered
from jaxvision.data.joined import Joined
from jaxvision.data.object_counts import REGIONS, Slots, evaluation_slots, rounded, training_slots
from jaxvision.data.outlines import Polygons
from jaxvision.data.proposals import Proposed
from jaxvision.data.records import Record, Subset, counts


@dataclasses.dataclass(frozen=True)
class Plain:
    """Images of a reader that does not know its numbers of objects; -1 is a broken one."""

    numbers: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> Record:
        if self.numbers[index] < 0:
            raise ValueError("broken")
        return {"boxes": np.zeros((self.numbers[index], 4), np.float32)}

    def name(self, index: int) -> str:
        return str(index)


def annotated(*numbers: int, outlined: int = 0):
    builder = AnnotationsBuilder()
    square = Polygons((np.array([[0, 0], [4, 0], [4, 4]], np.float32),))
    for image, number in enumerate(numbers):
        builder.image(f"{image}.png", image, 90, 90)
        for i in range(number):
            assert not builder.object(image, (0, 0, 5, 5), 1, outline=square if i < outlined else None)
    return builder.build("here")


@pytest.mark.parametrize(
    ("most", "slots"), [(0, 8), (1, 8), (8, 8), (9, 16), (42, 48), (128, 128), (129, 192), (600, 640)]
)
def test_slots_are_rounded_up(most, slots):
    assert rounded(most) == slots


def test_every_view_of_records_knows_the_numbers():
    records = annotated(3, 0, 5, outlined=2)
    assert counts(records).tolist() == [3, 0, 5] and counts(records, outlined=True).tolist() == [2, 0, 2]
    assert counts(annotated(3, 0), outlined=True).tolist() == [0, 0]
    views = (
        Subset(records, np.array([2, 0])),
        Renumbered(Subset(records, np.array([2, 0])), (0, 1)),
        Joined((Subset(records, np.array([2])), Subset(records, np.array([0])))),
        Proposed(Subset(records, np.array([2, 0])), [np.zeros((1, 4), np.float32)] * 2),
    )
    for view in views:
        assert counts(view).tolist() == [5, 3] and counts(view, outlined=True).tolist() == [2, 2]
    for unknown in (Plain((1, 2)), Joined((records, Plain((1,)))), Subset(Plain((1, 2)), np.array([0]))):
        assert counts(unknown) is None


def test_evaluation_has_a_slot_for_every_object():
    assert evaluation_slots(annotated(3, 40)) == 40 and evaluation_slots(annotated(0)) == 8
    assert evaluation_slots(Plain((3, -1, 21))) == 24
    assert evaluation_slots(sources.load("scenes:count=4,size=32")["val"]) == 8


def test_training_has_as_many_slots_as_the_data_needs_or_the_flag_says():
    assert training_slots(annotated(3, 40, 41)) == Slots(48)
    assert training_slots(annotated(3, 40, 41), 40) == Slots(40, REGIONS, 1)
    assert training_slots(annotated(3, 40, 41), 64) == Slots(64)
    assert training_slots(sources.load("scenes:count=4,size=32")["train"]) == Slots(8)


def test_unknown_numbers_are_sampled_and_what_does_not_fit_has_regions():
    assert training_slots(Plain((3, 9, -1))) == Slots(16, REGIONS)
    assert training_slots(Plain((3, 9)), 4) == Slots(4, REGIONS)
