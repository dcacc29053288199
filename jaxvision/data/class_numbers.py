"""Class names as annotation files use them, and the labels 1, 2, … that they get once all files are read."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from jaxvision.data import split_names
from jaxvision.data.annotated_images import AnnotatedImages
from jaxvision.data.records import Records

BACKGROUND = "background"


class ClassNumbers:
    """Gives each name a provisional label while files are read; `settled` puts the final ones in their place."""

    def __init__(self, listed: Iterable[str] = ()) -> None:
        """Take the names of a list of classes, in the order of their labels; (): every name that occurs is a class."""
        self._listed = tuple(dict.fromkeys(listed))
        self._provisional: dict[str, int] = {name: label for label, name in enumerate(self._listed, 1)}

    def label(self, name: str) -> int:
        """Return the provisional label of a class; 0 for one that the list of classes lacks."""
        if self._listed:
            return self._provisional.get(name, 0)
        return self._provisional.setdefault(name, len(self._provisional) + 1)

    def settled(
        self, parts: Mapping[str, AnnotatedImages], origins: Mapping[str, str]
    ) -> tuple[tuple[str, ...], dict[str, Records]]:
        """Number the classes by their list, or else by the sorted names of those that the training split has.

        Args:
            parts: the images of each split, with provisional labels.
            origins: for each split the file or folder that it was read from, for the error.

        Returns:
            The names of the classes, the background first, and the splits with final labels.

        Raises:
            ValueError: no split has an object, or one has objects of a class that training lacks.
        """
        seen, reference = list(self._provisional), split_names.reference(parts)
        occurring = {split: self._occurring(part) for split, part in parts.items()}
        names = self._listed or tuple(sorted(occurring[reference]))
        if not any(occurring.values()):
            raise ValueError(f"{origins[reference]}: no object that can be used")
        for split, classes in occurring.items():
            if lacking := [f"{name} ({count} objects)" for name, count in classes.items() if name not in names]:
                raise ValueError(
                    f"{origins[split]}: has classes that the training split lacks: {', '.join(sorted(lacking))}"
                )
        numbers = [0, *(1 + names.index(name) if name in names else 0 for name in seen)]
        return (BACKGROUND, *names), {split: part.renamed(numbers, names) for split, part in parts.items()}

    def _occurring(self, part: AnnotatedImages) -> dict[str, int]:
        """Return the number of objects of each class that has any."""
        counts: Sequence[int] = np.bincount(part.labels(), minlength=len(self._provisional) + 1).tolist()
        return {name: counts[label] for name, label in self._provisional.items() if counts[label]}
