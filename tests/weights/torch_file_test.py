"""Files of torch.save, of today and of long ago, whole and spoilt."""

import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from jaxvision.weights import torch_file
from tests.weights.torch_bytes import archive, described, dictionary, number, saved, saved_long_ago, tensor, text

RNG = np.random.default_rng(0)
ARRAYS = {
    "a": RNG.normal(size=(2, 3)).astype(np.float32),
    "half": RNG.normal(size=5).astype(np.float16),
    "brain": RNG.normal(size=(2, 2)).astype(ml_dtypes.bfloat16),
    "count": np.array(7, np.int64),
    "turned": RNG.normal(size=(4, 3)).astype(np.float32).T,
    "none": np.zeros((0, 3), np.float32),
}


@pytest.mark.parametrize("save", [saved, saved_long_ago])
def test_every_array_comes_back(tmp_path: Path, save):
    found = torch_file.read(str(save(tmp_path / "w.pth", ARRAYS)))
    assert list(found) == list(ARRAYS)
    for name, value in ARRAYS.items():
        assert found[name].dtype == value.dtype and found[name].shape == value.shape
        np.testing.assert_array_equal(found[name], value)


def test_arrays_are_views_of_the_file_and_share_what_the_file_shares(tmp_path: Path):
    data = np.arange(12, dtype=np.float32)
    parts = {"all": tensor("0", "Float", (3, 4), (4, 1), 12), "column": tensor("0", "Float", (3,), (4,), 12, 1)}
    found = torch_file.read(str(archive(tmp_path / "w.pth", dictionary(parts), {"0": data.tobytes()})))
    np.testing.assert_array_equal(found["column"], [1, 5, 9])
    assert np.shares_memory(found["all"], found["column"]) and not found["all"].flags.writeable


def test_a_compressed_archive_is_read(tmp_path: Path):
    data = {"0": ARRAYS["a"].tobytes()}
    path = archive(tmp_path / "w.pth", described({"a": ARRAYS["a"]}), data, zipfile.ZIP_DEFLATED)
    np.testing.assert_array_equal(torch_file.read(str(path))["a"], ARRAYS["a"])


def test_a_part_of_a_storage_of_an_old_file(tmp_path: Path):
    part = b"(" + text("view") + number(2) + number(3) + b"t"
    path = saved_long_ago(tmp_path / "w.pth", {"a": np.arange(6, dtype=np.float32)})
    whole = described({"a": np.arange(6, dtype=np.float32)}, part=b"N")
    cut = dictionary({"a": tensor("0", "Float", (3,), (1,), 6, part=part)})
    path.write_bytes(path.read_bytes().replace(whole, cut))
    np.testing.assert_array_equal(torch_file.read(str(path))["a"], [2, 3, 4])


@pytest.mark.parametrize("save", [saved, saved_long_ago])
@pytest.mark.parametrize("kept", [0, 3, 30, 0.5, -1])
def test_a_truncated_file_is_one_line(tmp_path: Path, save, kept: float):
    path = save(tmp_path / "w.pth", {"a": ARRAYS["a"]})
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if kept == 0.5 else kept])
    with pytest.raises(ValueError, match=r"w.pth: cut short, or no file of torch.save \(.+\)$"):
        torch_file.read(str(path))


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (tensor("0", "Float", (2, 4), (4, 1), 6), "past the end of its storage"),
        (tensor("0", "Float", (2, 3), (3, 1), 6, offset=1), "past the end of its storage"),
        (tensor("1", "Float", (2, 3), (3, 1), 6), "data/1"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n)R", "damaged"),
    ],
)
def test_a_tensor_that_is_not_in_the_file_is_no_view_of_something_else(tmp_path: Path, bad: bytes, reason: str):
    path = archive(tmp_path / "w.pth", dictionary({"a": bad}), {"0": ARRAYS["a"].tobytes()})
    with pytest.raises(ValueError, match=f"w.pth: .*{reason}"):
        torch_file.read(str(path))


@pytest.mark.parametrize("old", [True, False])
def test_a_malicious_file_is_refused_by_name(tmp_path: Path, old: bool):
    marker = tmp_path / "marker"
    command = b"cos\nsystem\n(" + text(f"touch {marker}") + b"tR"
    path = tmp_path / "w.pth"
    if old:
        path.write_bytes(b"\x80\x02" + command + b".")
    else:
        archive(path, command, {})
    with pytest.raises(ValueError, match=r"w.pth: refused, since it asks for os.system; save .* again"):
        torch_file.read(str(path))
    assert not marker.exists()


@pytest.mark.parametrize("content", [b"PK\x03\x04 no archive", b"\x89PNG\r\n", b"GIF89a", b"{}"])
def test_another_kind_of_file_is_one_line(tmp_path: Path, content: bytes):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(ValueError, match="w.pth: cut short, or no file of torch.save"):
        torch_file.read(str(tmp_path / "w.pth"))
