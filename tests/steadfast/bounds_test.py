"""Files that are made to take all memory or to last for ever are refused, in under 5 seconds and 1 GB."""

import contextlib
import gzip
import os
import struct
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from jaxvision.data import coco, csv_boxes, decode, folder, idx, voc, yolo
from jaxvision.data.image_files import image_files
from jaxvision.data.label_png import label_map
from jaxvision.weights import hed, state_dict, torch_file, torch_pickle
from tests.steadfast.alarm import SECONDS, alarm
from tests.steadfast.specimens import SPECIMENS, picture, put
from tests.weights.torch_bytes import archive, dictionary, number, pickled, tensor, text

BYTES = 2**30


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Check the time and the growth of memory inside the `with`: the processor's, as others may use it, too."""
    Path("/proc/self/clear_refs").write_text("5")  # makes the peak that of now
    before = _status("VmRSS")
    began = time.process_time()
    with alarm():
        yield
    assert time.process_time() - began < SECONDS and _status("VmHWM") - before < BYTES


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024


def refused(read: Callable[[], Any], match: str) -> None:
    with bounded(), pytest.raises(ValueError, match=match):
        read()


def test_few_bytes_that_unpack_to_a_memory_full_of_pixels(tmp_path: Path):
    bomb = tmp_path / "a.png"
    Image.new("L", (8200, 8200)).save(bomb)
    refused(lambda: decode.decode(str(bomb)), r"a.png: .* bytes that unpack to 8200×8200 pixels are refused")
    refused(lambda: label_map(str(bomb)), r"a.png: .* are refused")


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_an_image_that_has_no_end(tmp_path: Path, kind: str):
    for i in range(8):
        put(tmp_path / "ab"[i % 2] / f"{i}.png", picture(i))
    path = tmp_path / "a" / "x.jpg"
    os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
    for read in (decode.decode, decode.Encoded, decode.header_extent):
        refused(lambda read=read: read(str(path)), "x.jpg: a pipe or device")
    with bounded():
        source = folder.load(f"folder:{tmp_path}")
        records = source.splits["all"]
        place = [records.name(i) for i in range(len(records))].index(str(path))
        with pytest.raises(ValueError, match="x.jpg: a pipe or device"):
            records[place]


@pytest.mark.parametrize(
    ("name", "file", "load"),
    [
        ("coco", "all.json", coco.load),
        ("csv", "train.csv", csv_boxes.load),
        ("yolo", "data.yaml", yolo.load),
        ("voc", "Annotations/a.xml", voc.load),
    ],
)
def test_annotations_that_are_a_pipe(tmp_path: Path, name: str, file: str, load: Callable[[str], Any]):
    SPECIMENS[name].write(tmp_path)
    (tmp_path / file).unlink()
    os.mkfifo(tmp_path / file)
    with bounded():
        try:
            lines = load(f"{name}:{tmp_path}").left_out
        except ValueError as error:
            lines = (str(error),)
    assert any(str(tmp_path) in line and "pipe" in line for line in lines), lines


def test_links_that_lead_in_circles(tmp_path: Path):
    for i in range(4):
        put(tmp_path / "ab"[i % 2] / f"{i}.png", picture(i))
    for name in ("one", "two", "a/three"):
        (tmp_path / name).symlink_to(tmp_path)
    (tmp_path / "a" / "self.png").symlink_to(tmp_path / "a" / "self.png")
    with bounded():
        found = image_files(f"{tmp_path}/**/*.png").files
        assert sorted(map(os.path.basename, found)) == ["0.png", "1.png", "2.png", "3.png", "self.png"]
        assert len(image_files(f"{tmp_path}/**").files) == len(image_files(str(tmp_path)).files) == 5
        assert len(folder.load(f"folder:{tmp_path}").splits["all"]) == 5


def test_a_glob_of_folders_finds_what_it_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("a.png", "x/b.png", "x/y/c.png", "x/y/z/d.jpg"):
        put(tmp_path / name, picture(0))
    monkeypatch.chdir(tmp_path)
    assert image_files("**/*.png").files == ("a.png", "x/b.png", "x/y/c.png")
    assert image_files("x/**/y/**/*.jpg").files == ("x/y/z/d.jpg",)
    assert image_files("x/*/*.png").files == ("x/y/c.png",)
    assert image_files("x/**").files == ("x/b.png", "x/y/c.png", "x/y/z/d.jpg")


def test_gzip_that_unpacks_without_end(tmp_path: Path):
    header = bytes((0, 0, 8, 3)) + struct.pack(">3I", 2**16, 2**8, 2**8)
    file = put(tmp_path / "train-images-idx3-ubyte.gz", gzip.compress(header + bytes(2**10)))
    refused(lambda: idx.read(file, 3), "idx3-ubyte.gz: .* are refused")
    small = put(tmp_path / "small.gz", gzip.compress(bytes((0, 0, 8, 1)) + struct.pack(">I", 9) + bytes(2**24)))
    refused(lambda: idx.read(small, 1), "small.gz: 10 bytes of data or more, but its header")


def test_zip_that_unpacks_without_end(tmp_path: Path):
    content = dictionary({"a": tensor("0", "Float", (2**25,), (1,), 2**25)})
    file = archive(tmp_path / "w.pth", content, {"0": bytes(2**26 + 1)}, zipfile.ZIP_DEFLATED)
    refused(lambda: torch_file.read(str(file)), "w.pth: .* are refused")
    with (
        zipfile.ZipFile(tmp_path / "w.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed,
        packed.open("a.npy", "w") as entry,
    ):
        np.lib.format.write_array_header_1_0(entry, {"descr": "<f4", "fortran_order": False, "shape": (2**25,)})
        entry.write(bytes(2**26))
    refused(lambda: state_dict.read(str(tmp_path / "w.npz")), "w.npz: .* are refused")


def doubled(start: bytes, twice: bytes, times: int = 40) -> bytes:
    """A pickle that makes a container of two of the one before, again and again."""
    steps = b"".join(b"q" + bytes((i,)) + b"h" + bytes((i,)) + twice for i in range(times))
    return start + steps


PICKLES = {
    "lists in lists": doubled(b"]" + number(1) + b"a", b"q\xfe0](h\xfeh\xfee", 30),
    "tuples of tuples": doubled(number(1) + b"\x85", b"\x86"),
    "a key of tuples": b"}" + doubled(number(1) + b"\x85", b"\x86") + number(1) + b"s",
    "a set of tuples": b"\x8f(" + doubled(number(1) + b"\x85", b"\x86") + b"\x90",
    "a storage named by tuples": b"("
    + text("storage")
    + b"ctorch\nFloatStorage\n"
    + doubled(number(1) + b"\x85", b"\x86")
    + text("cpu")
    + number(1)
    + b"tQ",
    "a stored tuple of tuples": b"("
    + doubled(number(1) + b"\x85", b"\x86")
    + b"ctorch\nFloatStorage\n"
    + text("0")
    + text("cpu")
    + number(1)
    + b"tQ",
    "a list in itself": b"]q\x00h\x00a",
    "a dictionary in itself": b"}q\x00" + text("a") + b"h\x00s",
    "deep lists": b"]" * 20_000 + b"a" * 19_999,
    "many marks": number(1) * 100_000 + b"(t0" * 100_000,
    "many copies": b"](" + number(1) * 100_000 + b"eq\x00" + b"ctorch\nSize\nh\x00\x85R0" * 50_000,
    "many objects": b"N" * 1_100_000,
    "a number of a million digits": b"I" + b"9" * 1_000_000 + b"\n",
    "a text of many gigabytes": b"\x8d" + struct.pack("<Q", 2**62),
    "a key that is no text": b"}" + number(1) + tensor("0", "Float", (2,), (1,), 2) + b"s",
    "a tensor repeated": dictionary({"a": tensor("0", "Float", (2**28,), (0,), 2)}),
    "a tensor of many sides": dictionary({"a": tensor("0", "Float", (2**30, 2**30, 2**30), (0, 0, 0), 2)}),
}


@pytest.mark.parametrize("name", PICKLES)
def test_pickles_that_grow(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch_pickle, "_MOST_WORK", 10_000)  # types are checked at each object here, which takes long
    data = np.ones(2, np.float32).tobytes()
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as file:
        file.writestr("archive/data.pkl", pickled(PICKLES[name]))
        file.writestr("archive/data/0", data)
    refused(lambda: state_dict.read(str(tmp_path / "w.pth")), "w.pth: ")


def test_aliases_that_grow(tmp_path: Path):
    SPECIMENS["yolo"].write(tmp_path)
    lines = ["a0: &a0 [x, y]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    put(tmp_path / "data.yaml", "\n".join([*lines, "train: images/train", "names: [*a29, b]"]))
    refused(lambda: yolo.load(f"yolo:{tmp_path}"), "the name of class 0 is no text")
    put(tmp_path / "data.yaml", "names: " + "[" * 3_000)
    refused(lambda: yolo.load(f"yolo:{tmp_path}"), "data.yaml: nested too deeply")


@pytest.mark.parametrize("way", ["external storage", "external link", "soft link", "virtual", "huge", "texts"])
def test_hdf5_reads_no_other_file(tmp_path: Path, way: str):
    (path,) = SPECIMENS["h5"].write(tmp_path)
    place, secret = "block3/layers/conv2d_1/vars/0", put(tmp_path / "secret", bytes(4 * 36))
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = np.zeros((3, 3, 2, 2), np.float32)
    with h5py.File(path, "a") as file:
        del file[place]
        if way == "external storage":
            file.create_dataset(place, (3, 3, 2, 2), np.float32, external=[(str(secret), 0, 4 * 36)])
        elif way == "external link":
            file[place] = h5py.ExternalLink(str(tmp_path / "other.h5"), "x")
        elif way == "soft link":
            file[place] = h5py.SoftLink("/block1/layers/conv2d/vars/0")
        elif way == "virtual":
            layout = h5py.VirtualLayout((3, 3, 2, 2), np.float32)
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (3, 3, 2, 2))
            file.create_virtual_dataset(place, layout)
        elif way == "huge":
            file.create_dataset(place, (3, 3, 2**20, 2**10), np.float32, chunks=(3, 3, 2**8, 2**8))
        else:
            file.create_dataset(place, (3, 3, 2, 2), h5py.string_dtype())
    refused(lambda: hed.read(str(path)), rf"w.h5: {place}: .*(refused|no layer of VGG-16)$")


def test_a_weights_file_that_is_a_pipe(tmp_path: Path):
    for name in ("w.pth", "w.npz", "w.safetensors"):
        os.mkfifo(tmp_path / name)
        refused(lambda name=name: state_dict.read(str(tmp_path / name)), f"{name}: a pipe or device")
