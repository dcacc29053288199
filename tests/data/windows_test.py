"""A window is a record with one object."""

import pickle

import numpy as np

from jaxvision.data import sources
from jaxvision.data.canvas import Canvases
from jaxvision.data.windows import Windows


class Counted:
    """Scenes that count how often they are drawn."""

    def __init__(self) -> None:
        self.records, self.reads = sources.load("scenes:count=4,size=32")["train"], 0

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> dict:
        self.reads += 1
        return self.records[index]

    def name(self, index: int) -> str:
        return self.records.name(index)


def windows(records) -> Windows:
    boxes = np.array([[0, 0, 8, 8], [4, 4, 20, 28], [1, 2, 3, 4]], np.float32)
    return Windows(records, np.array([2, 0, 2]), boxes, np.array([3, 0, 1], np.int32))


def test_a_window_has_its_image_box_and_label():
    records = Counted()
    found = windows(records)
    assert len(found) == 3 and found.name(1) == records.name(0)
    record = found[1]
    np.testing.assert_array_equal(record["image"], records[0]["image"])
    assert record["boxes"].tolist() == [[4, 4, 20, 28]] and record["labels"].tolist() == [0]


def test_an_image_is_read_once_for_all_its_windows():
    records = Counted()
    found = windows(records)
    for _ in range(3):
        for index in range(3):
            found[index]
    assert records.reads == 2


def test_detections_transforms_take_it():
    transform = Canvases(64, 64, ((64, 64),)).train(1, flip=1.0)
    record = transform(windows(Counted())[1], np.random.default_rng(0))
    assert record["boxes"].tolist() == [[24, 8, 56, 56]] and record["valid"].tolist() == [True]


def test_it_reaches_worker_processes():
    found = windows(Counted())
    found[0]
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again[0]["image"], found[0]["image"])
