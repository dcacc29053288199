"""`idx:DIR`: the file format of MNIST, Fashion-MNIST and their relatives (LeCun et al. 1998), gzipped or not."""

import dataclasses
import gzip
import io
import math
import pathlib
import struct
import zlib

import numpy as np
from jaxtyping import UInt8

from jaxvision import foreign
from jaxvision.channels import Channels
from jaxvision.data import specs
from jaxvision.data.looks_like import or_else
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

    The files lie in DIR, or in its one folder raw/ or NAME/raw/, as torchvision leaves them. A folder with "fashion" in
    its name gets Fashion-MNIST's class names, mean and standard deviation. The t10k- pair alone is a test split.

    Raises:
        ValueError: there is no pair, several folders have one, or a file is damaged.
    """
    root = specs.path(spec)
    folder = _folder(spec, root)
    pairs = {split: prefix for split, prefix in _PREFIXES.items() if _find(folder, prefix, "images", 3)}
    splits: dict[str, Records] = {split: _read_pair(spec, folder, split) for split in pairs or ("train",)}
    named = folder.absolute().parent if folder.name == "raw" else folder
    fashion = any("fashion" in path.name.lower() for path in (root, named))
    names = FASHION_CLASSES if fashion else label_names(10)
    mean, std = _FASHION if fashion else _MNIST
    origins = {split: f"{_PREFIXES[split]}-images" for split in splits}
    return source_of(splits, names, origins=origins, mean=mean, std=std)


def read(file: pathlib.Path, dimensions: int) -> UInt8[np.ndarray, "..."]:
    """Read one idx file of unsigned bytes; ValueError "file: reason" where its header or size is wrong."""
    with foreign.named(file):
        packed = foreign.content(file, foreign.SET)
        if packed[:2] != b"\x1f\x8b":
            return _array(io.BytesIO(packed), dimensions, len(packed))
        try:
            return _array(gzip.GzipFile(fileobj=io.BytesIO(packed)), dimensions, len(packed))
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"damaged gzip file ({error}); download it again") from None


def _array(stream: io.BufferedIOBase, dimensions: int, packed: int) -> UInt8[np.ndarray, "..."]:
    """Read the header, then as many bytes as it says and no more, whatever a packed file would unpack to."""
    header = stream.read(4 + 4 * dimensions)
    if len(header) < 4 + 4 * dimensions or header[:4] != bytes((0, 0, _BYTES, dimensions)):
        raise ValueError(f"not an idx file of unsigned bytes in {dimensions} dimensions")
    shape = struct.unpack(f">{dimensions}I", header[4:])
    expected = math.prod(shape)
    foreign.check_unpacked(packed, expected)
    content = stream.read(expected + 1)
    if len(content) != expected:
        more = " or more" if len(content) > expected else ""
        raise ValueError(f"{len(content)} bytes of data{more}, but its header {shape} says {expected}")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _read_pair(spec: str, root: pathlib.Path, split: str) -> IdxImages:
    prefix = _PREFIXES[split]
    images_file, labels_file = _find(root, prefix, "images", 3), _find(root, prefix, "labels", 1)
    if not images_file or not labels_file:
        names = f"{prefix}-images-idx3-ubyte[.gz] and {prefix}-labels-idx1-ubyte[.gz]"
        raise ValueError(f"--data={spec}: {str(root)!r} needs {names}{or_else(root, 'idx')}")
    images, labels = read(images_file, 3), read(labels_file, 1)
    if len(images) != len(labels) or not len(labels):
        raise ValueError(f"{images_file}: {len(images)} images, but {labels_file.name} has {len(labels)} labels")
    if labels.max() > 9:
        raise ValueError(f"{labels_file}: label {labels.max()}; labels are 0 to 9")
    return IdxImages(images, labels, str(images_file))


def _folder(spec: str, root: pathlib.Path) -> pathlib.Path:
    """Return the folder that has a pair of files: `root`, or the one raw/ below it; `root` where there is none.

    ValueError: there are several.
    """
    inner = sorted([*root.glob("raw"), *root.glob("*/raw")])
    found = [
        folder for folder in (root, *inner) if any(_find(folder, prefix, "images", 3) for prefix in _PREFIXES.values())
    ]
    if len(found) > 1 and found[0] != root:
        raise ValueError(f"--data={spec}: holds several; say which, like idx:{found[0]}")
    return found[0] if found else root


def _find(root: pathlib.Path, prefix: str, kind: str, dimensions: int) -> pathlib.Path | None:
    # Unpacked copies are also spread as train-images.idx3-ubyte.
    names = [f"{prefix}-{kind}{mark}idx{dimensions}-ubyte{end}" for mark in "-." for end in ("", ".gz")]
    return next((root / name for name in names if (root / name).is_file()), None)
