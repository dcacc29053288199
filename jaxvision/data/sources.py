"""Data sources by name: what stands behind `--data=`."""

import re
from collections.abc import Callable, Mapping

from jaxvision.data import coco, digits, folder, idx, mixture, scenes, tfds, tinted, voc
from jaxvision.data.joined import join
from jaxvision.data.records import Source

LOADERS: Mapping[str, Callable[[str], Source]] = {
    "digits": digits.load,
    "tinted": tinted.load,
    "scenes": scenes.load,
    "mixture": mixture.load,
    "folder": folder.load,
    "idx": idx.load,
    "voc": voc.load,
    "coco": coco.load,
    "tfds": tfds.load,
}

_EMBEDDED = ("digits", "tinted", "scenes", "mixture")
_KNOWN = (
    "digits[:count=N], tinted[:count=N], scenes[:count=N,size=N,objects=N], mixture[:modes=N,count=N], folder:DIR, "
    "idx:DIR, voc:DIR, coco:DIR, tfds:NAME"
)
_JOINT = re.compile(rf"\+(?=(?:{'|'.join(LOADERS)})(?::|$))")  # a + in the name of a file joins nothing


def load(spec: str) -> Source:
    """The source that `spec` names; see each reader's `load` for its options.

        load("digits")   load("scenes:count=64,size=128")   load("folder:~/flowers")   load("tfds:imagenet2012")

    Several with + between them are one: load("voc:VOCdevkit/VOC2007+voc:VOCdevkit/VOC2012"), see `joined.join`.
    Raises ValueError, in one line, where the name, an option, or the data are not there.
    """
    if len(parts := _JOINT.split(spec)) > 1:
        return join(spec, [load(part) for part in parts])
    kind, _, rest = spec.partition(":")
    if kind not in LOADERS:
        raise ValueError(f"--data={spec}: no such source; known are {_KNOWN}")
    if kind not in _EMBEDDED and not rest:
        raise ValueError(f"--data={spec}: say which, like {next(k for k in _KNOWN.split(', ') if k.startswith(kind))}")
    return LOADERS[kind](spec)
