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
        self._kind, self._parts, self._spans = array("b"), array("q"), array("q")
        self._points, self._counts, self._text, self._sizes = array("f"), array("q"), bytearray(), array("i")

    def add(self, outline: Polygons | Runs | None) -> None:
        """Add the next object's outline; None: it has none."""
        kind, size, first = _NONE, (0, 0), len(self._spans) // 2
        if isinstance(outline, Polygons):
            kind = _POLYGONS
            for part in outline.parts:
                begin = len(self._points) // 2
                self._points.frombytes(np.ascontiguousarray(part, np.float32).tobytes())
                self._spans.extend((begin, len(self._points) // 2))
        elif outline is not None:
            size = (outline.width, outline.height)
            if isinstance(outline.counts, str):
                kind, begin = _TEXT, len(self._text)
                self._text += outline.counts.encode("latin-1")
                self._spans.extend((begin, len(self._text)))
            else:
                kind, begin = _COUNTS, len(self._counts)
                self._counts.frombytes(np.ascontiguousarray(outline.counts, np.int64).tobytes())
                self._spans.extend((begin, len(self._counts)))
        self._kind.append(kind)
        self._sizes.extend(size)
        self._parts.extend((first, len(self._spans) // 2))

    def add_polygons(self, parts: Sequence[Sequence[float]]) -> None:
        """Add the next object's polygons, each x, y, x, y, …; without parts it has no outline."""
        first = len(self._spans) // 2
        for part in parts:
            begin = len(self._points) // 2
            self._points.extend(part)
            self._spans.extend((begin, len(self._points) // 2))
        self._kind.append(_POLYGONS if parts else _NONE)
        self._sizes.extend((0, 0))
        self._parts.extend((first, len(self._spans) // 2))

    def build(self, order: Int[np.ndarray, " N"]) -> OutlineTable | None:
        """Return the table of the objects in another order; None where no object has an outline."""
        if not any(self._kind):
            return None
        return OutlineTable(
            SharedArrays(
                {
                    "kind": np.array(self._kind, np.int8)[order],
                    "parts": np.array(self._parts, np.int64).reshape(-1, 2)[order],
                    "spans": np.array(self._spans, np.int64).reshape(-1, 2),
                    "points": np.array(self._points, np.float32),
                    "counts": np.array(self._counts, np.int64),
                    "text": np.frombuffer(bytes(self._text), np.uint8),
                    "sizes": np.array(self._sizes, np.int32).reshape(-1, 2)[order],
                }
            )
        )
