"""The kinds of weights that `--init_from` can name, and the function that reads them."""

import os
from collections.abc import Callable, Mapping

from jaxvision import foreign
from jaxvision.weights import caffe, darknet, own, torchvision, workdir
from jaxvision.weights.imported import Imported


def _read_hed(file: str) -> Imported:
    from jaxvision.weights import hed  # h5py takes a while, which files of other kinds need not wait

    return hed.read(file)


READERS: Mapping[str, Callable[[str], Imported]] = {
    "torchvision": torchvision.read,
    "darknet": darknet.read,
    "hed": _read_hed,
    "caffe": caffe.read,
    "workdir": workdir.read,
    "jaxvision": own.read,
}


def load(spec: str, head: str = "keep") -> Imported:
    """Read the weights that `spec` names, such as `torchvision:FILE`, `workdir:RUN` or `jaxvision:digits_resnet`.

    With `head` "new" the classifier is left out.

    Raises ValueError, in one line, where the kind or the file does not exist, or the file is of another format: any
    exception of a reader becomes such a line, since nobody knows in advance what is wrong with a file.
    """
    kind, _, file = spec.partition(":")
    if kind not in READERS or not file:
        raise ValueError(f"--init_from={spec}: write it like {', '.join(f'{known}:FILE' for known in READERS)}")
    file = own.located(file) if kind == "jaxvision" else file
    file = os.path.expanduser(file)
    if not os.path.exists(file):
        known = f"; by name there are {', '.join(own.names())}" if kind == "jaxvision" else ""
        raise ValueError(f"--init_from={spec}: no such file or folder{known}")
    if kind != "workdir" and not os.path.isfile(file):
        what = "a folder" if os.path.isdir(file) else "a pipe or device"
        raise ValueError(f"--init_from={spec}: {what}, not a file of weights")
    with foreign.named(file):
        imported = READERS[kind](file)
    return imported.without_head() if head == "new" else imported
