"""TensorBoard's event file holds what was written, and a full disk is an error of the caller."""

from pathlib import Path

import numpy as np
import pytest
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event

from jaxvision.train.events import Events


def events(folder: Path) -> list[Event]:
    """The events of the one file: each lies between a length of 8 bytes with a checksum of 4, and a checksum of 4."""
    (file,) = folder.iterdir()
    data, found = file.read_bytes(), []
    while data:
        length = int.from_bytes(data[:8], "little")
        found.append(Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    return found


def test_figures_and_pictures_of_a_step(tmp_path: Path):
    written = Events(tmp_path / "tensorboard")
    assert not list(tmp_path.iterdir())
    written.add(3, {"val/accuracy": 0.5}, {"boxes": np.zeros((4, 5, 3), np.uint8)})
    written.add(4, {}, {})
    first, accuracy, boxes = events(tmp_path / "tensorboard")
    assert first.file_version == "brain.Event:2"
    assert (accuracy.step, accuracy.summary.value[0].tag, accuracy.summary.value[0].simple_value) == (
        3,
        "val/accuracy",
        0.5,
    )
    assert (boxes.summary.value[0].image.height, boxes.summary.value[0].image.width) == (4, 5)


def test_the_file_is_that_of_tensorboards_own_writer(tmp_path: Path):
    writer = EventsWriter(str(tmp_path / "theirs"))
    for event in events_of(Events(tmp_path / "ours"), tmp_path / "ours"):
        writer.write_event(event)
    writer.close()
    (ours,), (theirs,) = (tmp_path / "ours").iterdir(), tmp_path.glob("theirs.*")
    first = len(theirs.read_bytes()) - len(ours.read_bytes())  # their writer begins with a version, too
    assert theirs.read_bytes()[first:] == ours.read_bytes()


def events_of(written: Events, folder: Path) -> list[Event]:
    written.add(7, {"loss": 1.5, "accuracy": 0.25}, {"picture": np.full((3, 3, 3), 9, np.uint8)})
    return events(folder)


def test_a_full_disk_is_said_at_once(tmp_path: Path):
    written = Events(tmp_path)
    written.add(1, {"a": 1.0}, {})
    (file,) = tmp_path.iterdir()
    file.unlink()
    file.symlink_to("/dev/full")
    with pytest.raises(OSError, match=f"^{file}: No space left on device; make room, and the same command goes on"):
        written.add(2, {"a": 1.0}, {})
