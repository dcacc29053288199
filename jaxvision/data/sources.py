"""The data sources that `--data` can name, in one table, and the function that opens them.

A new kind is a row in `KINDS` and a file with its reader: a function that takes the spec, returns a `records.Source`,
and raises ValueError("--data=SPEC: reason"), in one line, where there is nothing to read. `specs` takes specs apart.
"""

import re
from collections.abc import Callable, Set
from typing import Literal, NamedTuple

from jaxvision.data import (
    coco,
    csv_boxes,
    digits,
    folder,
    idx,
    label_maps,
    labelme,
    mixture,
    pets,
    sbd,
    scenes,
    specs,
    tfds,
    tinted,
    voc,
    voc_masks,
    yolo,
)
from jaxvision.data.joined import join
from jaxvision.data.readable import check_readable
from jaxvision.data.records import Source
from jaxvision.data.splits import is_made

# What the records of a source hold beside "image": "label", "boxes" (with "labels"), "masks" or "label_map".
Content = Literal["labels", "boxes", "masks", "label_maps"]


class Kind(NamedTuple):
    """One way to read a data set."""

    usage: str  # how its specs are written: the kind, then what follows the colon, in brackets where it may be left out
    gives: Set[Content]  # contents of its records; those of some kinds depend on the files
    load: Callable[[str], Source]  # the reader, which takes the spec
    load_any: Callable[[str], Source] | None = None  # a reader that takes one class or none, too; None: `load` does

    @property
    def name(self) -> str:
        """The word before the colon."""
        return re.split(r"[:\[]", self.usage)[0]


# A kind that is read in several ways has several rows; an experiment that needs images alone gets the first of them.
KINDS: tuple[Kind, ...] = (
    Kind("digits[:count=N]", {"labels"}, digits.load),
    Kind("tinted[:count=N]", {"labels"}, tinted.load),
    Kind("scenes[:count=N,size=N,objects=N,classes=N]", {"boxes", "masks", "label_maps"}, scenes.load),
    Kind("mixture[:modes=N,count=N]", {"labels"}, mixture.load),
    Kind("folder:DIR", {"labels"}, folder.load, folder.load_any),
    Kind("idx:DIR", {"labels"}, idx.load),
    Kind("masks:DIR[,ignore=N]", {"label_maps"}, label_maps.load),
    Kind("voc:DIR", {"boxes"}, voc.load),
    Kind("voc:DIR", {"label_maps"}, voc_masks.load),
    Kind("sbd:DIR[,voc=DIR]", {"label_maps"}, sbd.load),
    Kind("coco:DIR", {"boxes", "masks"}, coco.load),
    Kind("yolo:DIR", {"boxes", "masks"}, yolo.load),
    Kind("labelme:DIR", {"boxes", "masks"}, labelme.load),
    Kind("labelme:DIR", {"label_maps"}, labelme.load_label_maps),
    Kind("csv:FILE", {"boxes"}, csv_boxes.load),
    Kind("tfds:NAME", {"labels", "boxes"}, tfds.load),
    Kind("tfds:oxford_iiit_pet", {"label_maps"}, pets.load),
)

_FITS: tuple[tuple[Content, str], ...] = (  # the experiments that learn from each content
    ("labels", "classification"),
    ("boxes", "detection"),
    ("masks", "detection/mask_rcnn"),
    ("label_maps", "segmentation"),
)

_NAMES = tuple(dict.fromkeys(row.name for row in KINDS))
_JOINT = re.compile(rf"\+(?=(?:{'|'.join(_NAMES)})(?::|$))")  # a + in the name of a file joins nothing


def load(spec: str, needs: Content | None = None, *, few_classes: bool = False) -> Source:
    """Open the source that `spec` names; see each reader's `load` for its options.

        load("digits")   load("scenes:count=64,size=128")   load("folder:~/flowers")   load("voc:~/voc", "label_maps")

    Several with + between them become one: load("voc:VOCdevkit/VOC2007+voc:VOCdevkit/VOC2012"), see `joined.join`.

    Args:
        spec: the value of --data.
        needs: the content that records must have; None: records may hold images alone.
        few_classes: True to open a set of one class, too, as a trained network is evaluated on.

    Raises:
        ValueError: in one line: the kind does not exist, kind or files lack what is needed, there is no data, or no
            image of "val" can be read, or of the whole set where that has no splits.
    """
    if len(parts := _JOINT.split(spec)) > 1:
        return join(spec, [load(part, needs, few_classes=few_classes) for part in parts])
    rows = {row.name: row for row in reversed(KINDS) if needs is None or needs in row.gives}
    row = rows.get(specs.kind(spec))
    if row is None:
        usages = ", ".join(rows[name].usage for name in _NAMES if name in rows)
        content = f" of {needs.replace('_', ' ')}" if needs else ""
        raise ValueError(f"--data={spec}: no such source{content}; known are {usages}{_fitting(specs.kind(spec))}")
    if not row.usage.startswith(f"{row.name}[") and not specs.argument(spec):
        raise ValueError(f"--data={spec}: say which, like {row.usage}")
    source = _read(row, spec, needs, few_classes)
    if "val" in source.splits:
        split = "all" if is_made(source, "val") else "val"
        check_readable(f"--data={spec}", split, source.splits[split])
    return source


def _read(row: Kind, spec: str, needs: Content | None, few_classes: bool) -> Source:
    """Read a source with one row's reader.

    ValueError: it has no labels though content is needed.
    """
    if row.load_any is not None and (needs is None or few_classes):
        source = row.load_any(spec)
        if needs is None or source.class_names:
            return source
    source = row.load(spec)
    if needs is not None and not source.class_names:
        raise ValueError(f"--data={spec}: has images alone, and {needs.replace('_', ' ')} are needed")
    return source


def _fitting(name: str) -> str:
    """Return the experiments that a kind fits, for the error of one that it does not fit; "" for an unknown kind."""
    gives = {content for row in KINDS if row.name == name for content in row.gives}
    held = " and ".join(content.replace("_", " ") for content, _ in _FITS if content in gives)
    fits = [experiments for content, experiments in _FITS if content in gives]
    return f"; {name} has {held}, which fits {', '.join([*fits, 'ssl, gan'])}" if fits else ""
