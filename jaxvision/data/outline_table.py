"""The outlines of many objects in a few flat arrays; each is made into `Polygons` or `Runs` when it is asked for."""

import dataclasses
from array import array
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int

from jaxvision.data.outlines import Polygons, Runs
from jaxvision.data.shared_arrays import SharedArrays

_NONE, _POLYGONS, _COUNTS, _TEXT = range(4)


@dataclasses.dataclass(frozen=True)
class OutlineTable:
    """`table[i]`: the outline of object i, or None."""

    columns: SharedArrays

    def __len__(self) -> int:
        return len(self.columns["kind"])

    def known(self) -> Bool[np.ndarray, " N"]:
        """Return True for the objects that have an outline."""
        return self.columns["kind"] != _NONE

    def lacking(self) -> int:
        """Return how many objects have no outline."""
        return int(np.sum(~self.known()))

    def __getitem__(self, index: int) -> Polygons | Runs | None:
        columns, kind = self.columns, int(self.columns["kind"][index])
        first, stop = columns["parts"][index].tolist()
        spans = columns["spans"][first:stop]
        if kind == _POLYGONS:
            return Polygons(tuple(columns["points"][2 * a : 2 * b].reshape(-1, 2) for a, b in spans.tolist()))
        if kind in (_COUNTS, _TEXT):
            (start, end), (width, height) = spans[0].tolist(), columns["sizes"][index].tolist()
            if kind == _COUNTS:
                return Runs(columns["counts"][start:end], width, height)
            return Runs(columns["text"][start:end].tobytes().decode("latin-1"), width, height)
        return None


class OutlineTableBuilder:
    """Collects outlines, one an object."""

    def __init__(self) -> None:
        self._kinds, self._amounts = array("b"), array("i")  # of each object: its kind, and how many parts it has
        self._lengths = array("q")  # of each part, in the array of its kind
        self._points, self._counts, self._text = array("f"), array("q"), bytearray()
        self._sizes: dict[int, tuple[int, int]] = {}  # of the images, for objects with run lengths

    def add(self, outline: Polygons | Runs | None) -> None:
        """Add the next object's outline; None: it has none."""
        if outline is None or isinstance(outline, Polygons):
            self.add_polygons([part.ravel().tolist() for part in outline.parts] if outline else ())
            return
        self._sizes[len(self._kinds)] = (outline.width, outline.height)
        if isinstance(outline.counts, str):
            self._kinds.append(_TEXT)
            self._text += outline.counts.encode("latin-1")
        else:
            self._kinds.append(_COUNTS)
            self._counts.frombytes(np.ascontiguousarray(outline.counts, np.int64).tobytes())
        self._amounts.append(1)
        self._lengths.append(len(outline.counts))

    def add_polygons(self, parts: Sequence[list[float]]) -> None:
        """Add the next object's polygons, each x, y, x, y, …; without parts it has no outline."""
        for part in parts:
            self._points.fromlist(part)  # twice as fast as extend
            self._lengths.append(len(part) >> 1)
        self._kinds.append(_POLYGONS if parts else _NONE)
        self._amounts.append(len(parts))

    def build(self, order: Int[np.ndarray, " N"]) -> OutlineTable | None:
        """Return the table of the objects in another order; None where no object has an outline."""
        if not any(self._kinds):
            return None
        kinds, amounts = np.array(self._kinds, np.int8), np.array(self._amounts, np.int64)
        stops, sizes = np.cumsum(amounts), np.zeros((len(kinds), 2), np.int32)
        if self._sizes:
            sizes[list(self._sizes)] = list(self._sizes.values())
        return OutlineTable(
            SharedArrays(
                {
                    "kind": kinds[order],
                    "parts": np.stack([stops - amounts, stops], axis=1)[order],
                    "spans": _spans(np.repeat(kinds, amounts), np.array(self._lengths, np.int64)),
                    "points": np.frombuffer(self._points, np.float32),
                    "counts": np.frombuffer(self._counts, np.int64),
                    "text": np.frombuffer(bytes(self._text), np.uint8),
                    "sizes": sizes[order],
                }
            )
        )


def _spans(kinds: Int[np.ndarray, " P"], lengths: Int[np.ndarray, " P"]) -> Int[np.ndarray, "P 2"]:
    """Return the place of each part in the array of its kind."""
    spans: np.ndarray = np.zeros((len(kinds), 2), np.int64)
    for kind in (_POLYGONS, _COUNTS, _TEXT):
        own = kinds == kind
        spans[own, 1] = np.cumsum(lengths[own])
        spans[own, 0] = spans[own, 1] - lengths[own]
    return spans
