"""`sbd:DIR`: the Semantic Boundaries Dataset (Hariharan et al. 2011), VOC's images with five times as many label maps.

FCN is trained on its 8,498 training images and tested on those of VOC's validation images that are not among them.
"""

import dataclasses
import io
import pathlib

import numpy as np
from jaxtyping import UInt8

from jaxvision import foreign
from jaxvision.data import decode, objects, specs, split_names, voc_masks
from jaxvision.data.joined import Joined
from jaxvision.data.label_maps import LabelledImages, checked
from jaxvision.data.objects import VOC_NAMES
from jaxvision.data.records import Record, Records, Source, Subset
from jaxvision.data.splits import source_of

_NAMES = ("background", *VOC_NAMES)
_MOST = 2**24  # bytes of a file, of which the largest have some hundred thousand
_PLACES = ("", "dataset", "benchmark_RELEASE/dataset")  # of img/ and cls/ below the folder that is given


@dataclasses.dataclass(frozen=True)
class BoundaryImages:
    """Records of images with a label map in a MATLAB file each."""

    folder: pathlib.Path  # that holds img/ and cls/
    items: tuple[str, ...]  # names of the images

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Record:
        return objects.decoded(self.encoded(index))

    def encoded(self, index: int) -> Record:
        """Return record `index` with its image undecoded."""
        file = str(self.folder / "cls" / f"{self.items[index]}.mat")
        return checked(decode.Encoded(self.name(index)), read_label_map(file), len(_NAMES), (self.name(index), file))

    def name(self, index: int) -> str:
        """Return the path of an image."""
        return str(self.folder / "img" / f"{self.items[index]}.jpg")

    def extent(self, index: int) -> tuple[int, int]:
        """Return (width, height) of an image in pixels, from its header."""
        return decode.header_extent(self.name(index))


def load(spec: str) -> Source:
    """Read `sbd:DIR`, or `sbd:DIR,voc=VOCDIR` to be tested on VOC's own label maps.

    DIR is that of img/, cls/, train.txt and val.txt, or the unpacked archive. With VOCDIR, "val" is VOC's validation
    list without SBD's training images, as in FCN's released code, and "trainaug" is all of both sets but VOC's
    validation list, with VOC's label map where there are two.

    Raises:
        ValueError: a folder or list is missing.
    """
    given, options = specs.path_and_options(spec, {"voc"})
    folders = [given / place for place in _PLACES]
    folder = next((one for one in folders if (one / "cls").is_dir()), None)
    lists = {name: _listed(folder / f"{name}.txt") for name in ("train", "val")} if folder else {}
    if folder is None or not lists["train"]:
        raise ValueError(f"--data={spec}: expected DIR/img/*.jpg, DIR/cls/*.mat, DIR/train.txt and DIR/val.txt")
    splits: dict[str, Records] = {name: BoundaryImages(folder, items) for name, items in lists.items() if items}
    origins = {name: str(folder / f"{name}.txt") for name in splits}
    if "voc" in options:
        splits |= _with_voc(folder, lists, options["voc"])
        origins |= {"val": f"{options['voc']}, less SBD's training images", "trainaug": "SBD and VOC, less VOC's val"}
    return source_of(splits, _NAMES, origins=origins)


def read_label_map(file: str) -> UInt8[np.ndarray, "H W"]:
    """Read the classes of the pixels; ValueError where the file is no MATLAB file of a label map."""
    from scipy.io import loadmat  # takes a while, which whoever reads other data need not wait

    with foreign.named(file):
        content = io.BytesIO(foreign.content(file, _MOST))
        try:
            labels = np.array(loadmat(content)["GTcls"][0, 0]["Segmentation"], np.uint8)
        except Exception:  # MATLAB's reader raises nearly anything on broken files
            labels = np.zeros(0, np.uint8)
        if labels.ndim != 2:
            raise ValueError(f"{file}: not a MATLAB file with GTcls.Segmentation; fetch it again")
        return labels


def _with_voc(folder: pathlib.Path, lists: dict[str, tuple[str, ...]], voc: str) -> dict[str, Records]:
    """Return "val" and "trainaug" of SBD and VOC together."""
    other = voc_masks.load(f"voc:{voc}").splits
    theirs = {name: records for name, records in other.items() if isinstance(records, LabelledImages)}
    if not {"train", "val"} <= theirs.keys():
        raise ValueError(f"--data=sbd:…,voc={voc}: expected ImageSets/Segmentation/train.txt and val.txt there")
    known, held_out = _stems(theirs["train"]), _stems(theirs["val"])
    theirs_too, trained = {*known, *held_out}, set(lists["train"])
    rest = tuple(item for item in (*lists["train"], *lists["val"]) if item not in theirs_too)
    val = [index for index, item in enumerate(held_out) if item not in trained]
    return {
        "val": Subset(theirs["val"], np.array(val, np.int64)),
        "trainaug": Joined((theirs["train"], BoundaryImages(folder, rest))),
    }


def _stems(records: LabelledImages) -> list[str]:
    return [pathlib.Path(path).stem for path in records.images]


def _listed(path: pathlib.Path) -> tuple[str, ...]:
    """Return the names in a list; () where there is no such file."""
    return tuple(" ".join(split_names.lines(path)).split()) if path.is_file() else ()
