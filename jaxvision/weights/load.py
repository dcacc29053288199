"""Weights by name: what stands behind `--init_from=`."""

import os
from collections.abc import Callable, Mapping

from jaxvision.weights import hed, torchvision, workdir
from jaxvision.weights.imported import Imported

READERS: Mapping[str, Callable[[str], Imported]] = {
    "torchvision": torchvision.read,
    "workdir": workdir.read,
    "hed": hed.read,
}


def load(spec: str) -> Imported:
    """The weights that `spec` names, such as `torchvision:FILE` or `workdir:RUN`.

    ValueError, in one line, where there is no such kind or file.
    """
    kind, _, file = spec.partition(":")
    if kind not in READERS or not file:
        raise ValueError(f"--init_from={spec}: write it like {', '.join(f'{known}:FILE' for known in READERS)}")
    file = os.path.expanduser(file)
    if not os.path.exists(file):
        raise ValueError(f"--init_from={spec}: no such file or folder")
    return READERS[kind](file)
