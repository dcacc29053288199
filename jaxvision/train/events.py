"""TensorBoard's event file, written by the thread that has something to write.

tensorboardX's own writer hands everything to a thread and a queue. On a full disk that thread ends, the queue fills up,
and the training waits in it for ever; here an error reaches the caller.
"""

import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from tensorboardX import summary
from tensorboardX.crc32c import crc32c
from tensorboardX.proto.event_pb2 import Event

from jaxvision.files import append


class Events:
    """An event file in `folder`, begun with the first event."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._file: Path | None = None

    def add(
        self, step: int, scalars: Mapping[str, float], pictures: Mapping[str, UInt8[np.ndarray, "_H _W 3"]]
    ) -> None:
        """Write the values of a step.

        Args:
            step: the number of the step.
            scalars: figures by name.
            pictures: pictures by name.

        Raises:
            OSError: there is no room; the text names the file.
        """
        parts = [summary.scalar(name, value) for name, value in scalars.items()]
        parts += [summary.image(name, picture, dataformats="HWC") for name, picture in pictures.items()]
        if not parts:
            return
        events = [Event(wall_time=time.time(), step=step, summary=part) for part in parts]
        if self._file is None:
            events.insert(0, Event(wall_time=time.time(), file_version="brain.Event:2"))
            self._file = self.folder / f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}"
            self.folder.mkdir(parents=True, exist_ok=True)
        append(self._file, b"".join(_record(event.SerializeToString()) for event in events))


def _record(data: bytes) -> bytes:
    """Return a record of TensorFlow's format: the length, its checksum, the data, their checksum."""
    length = struct.pack("<Q", len(data))
    return length + _checksum(length) + data + _checksum(data)


def _checksum(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
