"""`idx:DIR`: the file format of MNIST, Fashion-MNIST and their relatives (LeCun et al. 1998), gzipped or not."""

import dataclasses
import gzip
import math
import pathlib
import struct
import zlib

import numpy as np
from jaxtyping import UInt8

from jaxvision.channels import Channels
from jaxvision.data import specs
from jaxvision.data.records import Record, Records, Source, label_names
from jaxvision.data.splits import source_of

FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

# Over the 60,000 training images, 0..255.
_MNIST: tuple[Channels, Channels] = ((33.3, 33.3, 33.3), (78.6, 78.6, 78.6))
_FASHION: tuple[Channels, Channels] = ((72.9, 72.9, 72.9), (90.0, 90.0, 90.0))

_PREFIXES = {"train": "train", "test": "t10k"}
_BYTES = 0x08  # the type code of unsigned bytes: bytes 0, 1 are zero, byte 2 the type, byte 3 the number of dimensions


@dataclasses.dataclass(frozen=True)
class IdxImages:
    """Records of grey images in memory, which become RGB, and their labels."""

    images: UInt8[np.ndarray, "N H W"]
    labels: UInt8[np.ndarray, "N"]  # 0 to 9
    file: str  # path of the images, for error messages

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Record:
        return {"image": np.repeat(self.images[index][..., None], 3, axis=2), "label": int(self.labels[index])}

    def name(self, index: int) -> str:
        """Return the file of the images and the position in it."""
        return f"{self.file}[{index}]"


def load(spec: str) -> Source:
    """Read `idx:DIR`: train-images-idx3-ubyte[.gz], train-labels-idx1-ubyte[.gz] and, if present, the t10k- pair.

    A folder with "fashion" in its name gets Fashion-MNIST's class names, mean and standard deviation.

    Raises ValueError where the training pair is missing or a file is damaged.
    """
    root = specs.path(spec)
    splits: dict[str, Records] = {"train": _read_pair(spec, root, "train")}
    if _find(root, "t10k", "images", 3):
        splits["test"] = _read_pair(spec, root, "test")
    fashion = "fashion" in root.name.lower()
    names = FASHION_CLASSES if fashion else label_names(10)
    mean, std = _FASHION if fashion else _MNIST
    return source_of(splits, names, mean=mean, std=std)


def read(file: pathlib.Path, dimensions: int) -> UInt8[np.ndarray, "..."]:
    """Read one idx file of unsigned bytes; ValueError "file: reason" where its header or size is wrong."""
    content = _content(file)
    header = 4 + 4 * dimensions
    if len(content) < header or content[:4] != bytes((0, 0, _BYTES, dimensions)):
        raise ValueError(f"{file}: not an idx file of unsigned bytes in {dimensions} dimensions")
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    if len(content) - header != math.prod(shape):
        raise ValueError(
            f"{file}: {len(content) - header} bytes of data, but its header {shape} says {math.prod(shape)}"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _read_pair(spec: str, root: pathlib.Path, split: str) -> IdxImages:
    prefix = _PREFIXES[split]
    images_file, labels_file = _find(root, prefix, "images", 3), _find(root, prefix, "labels", 1)
    if not images_file or not labels_file:
        names = f"{prefix}-images-idx3-ubyte[.gz] and {prefix}-labels-idx1-ubyte[.gz]"
        raise ValueError(f"--data={spec}: {str(root)!r} needs {names}")
    images, labels = read(images_file, 3), read(labels_file, 1)
    if len(images) != len(labels) or not len(labels):
        raise ValueError(f"{images_file}: {len(images)} images, but {labels_file.name} has {len(labels)} labels")
    if labels.max() > 9:
        raise ValueError(f"{labels_file}: label {labels.max()}; labels are 0 to 9")
    return IdxImages(images, labels, str(images_file))


def _find(root: pathlib.Path, prefix: str, kind: str, dimensions: int) -> pathlib.Path | None:
    # Unpacked copies are also spread as train-images.idx3-ubyte.
    names = [f"{prefix}-{kind}{mark}idx{dimensions}-ubyte{end}" for mark in "-." for end in ("", ".gz")]
    return next((root / name for name in names if (root / name).is_file()), None)


def _content(file: pathlib.Path) -> bytes:
    raw = file.read_bytes()
    if raw[:2] != b"\x1f\x8b":
        return raw
    try:
        return gzip.decompress(raw)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{file}: damaged gzip file ({error}); download it again") from None
