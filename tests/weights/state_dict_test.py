"""Tensors by name, whatever the kind of file and whatever lies around them."""

import json
import struct
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from jaxvision.weights import state_dict
from tests.weights.torch_bytes import archive, described, dictionary, number, saved

ARRAYS = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "a.bias": np.ones(2, np.float32)}


def bytes_of(arrays: dict[str, np.ndarray]) -> dict[str, bytes]:
    return {str(i): value.tobytes() for i, value in enumerate(arrays.values())}


def check(file: Path) -> None:
    found = state_dict.read(str(file))
    assert list(found) == list(ARRAYS)
    for name, value in ARRAYS.items():
        np.testing.assert_array_equal(found[name], value)


def test_every_kind_of_file(tmp_path: Path):
    check(saved(tmp_path / "w.pt", ARRAYS))
    state_dict.write(str(tmp_path / "w.safetensors"), dict(reversed(ARRAYS.items())))
    assert state_dict.read(str(tmp_path / "w.safetensors")).keys() == ARRAYS.keys()
    np.savez(tmp_path / "w.npz", **ARRAYS)
    check(tmp_path / "w.npz")


@pytest.mark.parametrize("inside", ["state_dict", "model"])
def test_checkpoints_and_wrappers_around_the_names(tmp_path: Path, inside: str):
    wrapped = {f"module.{name}": value for name, value in ARRAYS.items()}
    content = dictionary({"epoch": number(3), inside: described(wrapped), "optimizer": b"}"})
    check(archive(tmp_path / "w.pth", content, bytes_of(wrapped)))


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_halves_become_float32(tmp_path: Path, dtype: type):
    found = state_dict.read(str(saved(tmp_path / "w.pth", {"x": np.array([0.5, -3.0, 1e-3], dtype)})))
    assert found["x"].dtype == np.float32
    np.testing.assert_array_equal(found["x"], np.array([0.5, -3.0, 1e-3], dtype).astype(np.float32))


def test_bfloat16_in_safetensors(tmp_path: Path):
    header = json.dumps({"x": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    values = np.array([0.5, -3.0], ml_dtypes.bfloat16)
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + values.tobytes())
    found = state_dict.read(str(tmp_path / "w.safetensors"))["x"]
    assert found.dtype == np.float32 and found.tolist() == [0.5, -3.0]


def test_a_mistake_is_one_line(tmp_path: Path):
    for name in ("w.safetensors", "w.npz", "w.pth"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
        with pytest.raises(ValueError, match=f"{name}: cut short, or no "):
            state_dict.read(str(tmp_path / name))
    np.savez(tmp_path / "o.npz", x=np.array([{}], object))
    with pytest.raises(ValueError, match="o.npz: .*plain arrays"):
        state_dict.read(str(tmp_path / "o.npz"))
    with pytest.raises(ValueError, match="n.pth: no tensors by name"):
        state_dict.read(str(archive(tmp_path / "n.pth", dictionary({"epoch": number(1)}), {})))
