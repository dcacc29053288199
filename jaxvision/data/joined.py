"""Several data sets joined to one, such as the two years of VOC that detectors are trained on together."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Integer

from jaxvision.data.records import Record, Records, Source, counts, extent, fetch


@dataclasses.dataclass(frozen=True)
class Joined:
    """The records of all `parts`, one part after the other."""

    parts: tuple[Records, ...]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __getitem__(self, index: int) -> Record:
        part, index = self._place(index)
        return part[index]

    def encoded(self, index: int) -> Record:
        """Return record `index` with its image undecoded, where its reader can."""
        part, index = self._place(index)
        return fetch(part, index, encoded=True)

    def extent(self, index: int) -> tuple[int, int]:
        """Return (width, height) of an image in pixels."""
        return extent(*self._place(index))

    def name(self, index: int) -> str:
        """Return the name of a record in its own part."""
        part, index = self._place(index)
        return part.name(index)

    def counts(self, *, outlined: bool = False) -> Integer[np.ndarray, "N"] | None:
        """Return how many objects each record has at most; see `records.counts`."""
        known = [counts(part, outlined=outlined) for part in self.parts]
        return None if any(one is None for one in known) else np.concatenate([one for one in known if one is not None])

    def _place(self, index: int) -> tuple[Records, int]:
        for part in self.parts:
            if 0 <= index < len(part):
                return part, index
            index -= len(part)
        raise IndexError("beyond the last of the joined records")


def join(spec: str, sources: Sequence[Source]) -> Source:
    """Join sources with the same classes; each split joins the sources that have it.

    Mean and standard deviation are those of the first source. `spec` is named in the error message.

    Raises ValueError where the classes differ.
    """
    first = sources[0]
    if any(other.class_names != first.class_names for other in sources):
        raise ValueError(
            f"--data={spec}: the classes differ, so the sets cannot be joined; give sets of the same classes"
        )
    names = {name for source in sources for name in source.splits}
    splits = {name: Joined(tuple(s.splits[name] for s in sources if name in s.splits)) for name in sorted(names)}
    origins = {
        name: " + ".join(source.origins.get(name) or "?" for source in sources if name in source.splits)
        for name in splits
        if any(source.origins.get(name) for source in sources)
    }
    left_out = tuple(line for source in sources for line in source.left_out)
    return dataclasses.replace(first, splits=splits, origins=origins, left_out=left_out)
