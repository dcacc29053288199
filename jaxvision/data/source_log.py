"""The sources that a run has opened, each described as it is opened; what a run learned from is read off here."""

from collections.abc import Callable
from typing import Any

from jaxvision.data.records import Source

_SHOWN = 5  # annotations that were left out, named one by one; a file in the workdir has all


class SourceLog:
    """Describes each source once, in lines given to `say`, and keeps them by their spec."""

    def __init__(self, say: Callable[[str], None] = lambda line: None) -> None:
        self.say = say
        self.opened: dict[str, Source] = {}

    def add(self, spec: str, source: Source, *, strict: bool = False) -> None:
        """Keep a source and describe it, unless that was done before.

        Args:
            spec: what --data says.
            source: what was read.
            strict: True to refuse a source of which annotations were left out.

        Raises:
            ValueError: with `strict`, the first annotation that was left out.
        """
        if strict and source.left_out:
            raise ValueError(f"--strict: {source.left_out[0]}; {len(source.left_out)} annotations cannot be used")
        if spec in self.opened:
            return
        self.opened[spec] = source
        self.say(describe(spec, source))
        for line in source.left_out[:_SHOWN]:
            self.say(f"left out: {line}")
        if len(source.left_out) > _SHOWN:
            self.say(f"left out: {len(source.left_out)} annotations in all, listed in left_out.txt")

    def left_out(self) -> list[str]:
        """Return a line for each annotation that any source lost."""
        return [line for source in self.opened.values() for line in source.left_out]

    def learned(self, spec: str) -> dict[str, Any]:
        """Return what a network trained on `spec` has to remember, for config.json; {} if `spec` was not opened."""
        if spec not in self.opened:
            return {}
        source = self.opened[spec]
        return {
            "data": spec,
            "class_names": list(source.class_names),
            "mean": list(source.mean),
            "std": list(source.std),
        }


def describe(spec: str, source: Source) -> str:
    """Return a line with the number of images of each split, where they were read from, and the number of classes."""
    parts = []
    for split in (name for name in ("train", "val", "test") if name in source.splits):
        origin = f" of {source.origins[split]}" if source.origins.get(split) else ""
        parts.append(f"{split}: {len(source.splits[split])} images{origin}")
    classes = f"{source.num_classes} classes" if source.class_names else "no labels"
    return f"data {spec}: {'; '.join(parts)}; {classes}"
