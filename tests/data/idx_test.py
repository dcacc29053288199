import gzip
import pathlib
import struct

import numpy as np
import pytest

from jaxvision.data import idx

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 4, 5), dtype=np.uint8)
LABELS = np.arange(20, dtype=np.uint8) % 10


def pack(values: np.ndarray) -> bytes:
    return bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def write(root: pathlib.Path, prefix: str, *, zipped: bool = False, mark: str = "-") -> None:
    root.mkdir(exist_ok=True)
    for kind, number, values in (("images", 3, IMAGES), ("labels", 1, LABELS)):
        content = gzip.compress(pack(values)) if zipped else pack(values)
        (root / f"{prefix}-{kind}{mark}idx{number}-ubyte{'.gz' if zipped else ''}").write_bytes(content)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("mark", ["-", "."])
def test_files_are_read_zipped_or_not(tmp_path, zipped, mark):
    write(tmp_path, "train", zipped=zipped, mark=mark)
    write(tmp_path, "t10k", zipped=zipped, mark=mark)
    source = idx.load(f"idx:{tmp_path}")
    record = source["train"][13]
    np.testing.assert_array_equal(record["image"], np.stack([IMAGES[13]] * 3, axis=-1))
    assert record["label"] == 3
    assert source["val"] is source["test"] and len(source["val"]) == 20
    assert source["train"].name(13).endswith("[13]")


def test_without_t10k_a_tenth_is_held_out(tmp_path):
    write(tmp_path, "train")
    source = idx.load(f"idx:{tmp_path}")
    assert (len(source["train"]), len(source["val"])) == (18, 2)


def test_class_names_follow_the_folders_name(tmp_path):
    write(tmp_path / "Fashion-MNIST", "train")
    write(tmp_path / "mnist", "train")
    fashion, mnist = (idx.load(f"idx:{tmp_path / name}") for name in ("Fashion-MNIST", "mnist"))
    assert fashion.class_names[9] == "Ankle boot" and fashion.num_classes == 10
    assert mnist.class_names == tuple("0123456789")
    assert fashion.mean != mnist.mean


def test_damaged_files_are_named(tmp_path):
    images = tmp_path / "train-images-idx3-ubyte"
    labels = tmp_path / "train-labels-idx1-ubyte"
    whole = pack(IMAGES)
    damages = {
        whole[:-1]: r"399 bytes of data, but its header \(20, 4, 5\) says 400",
        whole + b"0": "401 bytes of data",
        whole[:9]: "not an idx file",
        b"": "not an idx file",
        b"\x00\x00\x0d\x03" + whole[4:]: "not an idx file of unsigned bytes in 3 dimensions",
        pack(LABELS): "not an idx file",
        gzip.compress(whole)[:60]: "damaged gzip file",
        pack(IMAGES[:7]): "7 images, but train-labels-idx1-ubyte has 20 labels",
    }
    for content, reason in damages.items():
        write(tmp_path, "train")
        images.write_bytes(content)
        with pytest.raises(ValueError, match=f"^{images}: [^\n]*{reason}[^\n]*$"):
            idx.load(f"idx:{tmp_path}")
    write(tmp_path, "train")
    labels.write_bytes(pack(LABELS + 1))
    with pytest.raises(ValueError, match="label 10; labels are 0 to 9"):
        idx.load(f"idx:{tmp_path}")


def test_missing_files_are_named(tmp_path):
    with pytest.raises(ValueError, match="needs train-images-idx3-ubyte"):
        idx.load(f"idx:{tmp_path}/none")
    write(tmp_path, "train")
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(ValueError, match="train-labels-idx1-ubyte"):
        idx.load(f"idx:{tmp_path}")


@pytest.mark.parametrize("inner", ["", "FashionMNIST", "FashionMNIST/raw"])
def test_torchvisions_folders_are_found(tmp_path, inner):
    (tmp_path / "FashionMNIST" / "raw").mkdir(parents=True)
    write(tmp_path / "FashionMNIST" / "raw", "train")
    source = idx.load(f"idx:{tmp_path / inner}")
    assert source.class_names[9] == "Ankle boot" and len(source["all"]) == 20
    if not inner:
        (tmp_path / "MNIST" / "raw").mkdir(parents=True)
        write(tmp_path / "MNIST" / "raw", "train")
        with pytest.raises(ValueError, match=r"holds several; say which, like idx:\S+/FashionMNIST/raw$"):
            idx.load(f"idx:{tmp_path}")


def test_the_test_pair_alone_is_a_test_split(tmp_path):
    write(tmp_path, "t10k")
    source = idx.load(f"idx:{tmp_path}")
    assert {name: len(records) for name, records in source.splits.items()} == {"test": 20, "val": 20}
    assert dict(source.origins) == {"test": "t10k-images", "val": "the test split, t10k-images"}
