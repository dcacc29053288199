"""The stack machine: containers and tensors, and no for everything else."""

import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jaxvision.weights import torch_pickle
from jaxvision.weights.torch_pickle import Refused, Storage, Tensor
from tests.weights.torch_bytes import dictionary, number, pickled, tensor, text


@pytest.mark.parametrize("protocol", range(5))
def test_what_python_pickles_comes_back(protocol: int):
    value = {"epoch": 3, "lr": 0.5, "arch": "résnet", "best": None, "on": True, "shape": (1, 2, 3, 4), 7: [1, [2**40]]}
    value |= {"empty": ((), [], {}), "big": list(range(300)), "same": "arch", "ordered": OrderedDict(a=1)}
    value |= {"set": {1, 2}} if protocol == 4 else {}
    assert torch_pickle.load(io.BytesIO(pickle.dumps(value, protocol))) == value


def test_a_tensor_is_described_and_its_storage_shared():
    described = dictionary({"a": tensor("0", "Half", (2, 3), (3, 1), 12), "b": tensor("0", "Half", (3,), (2,), 12, 4)})
    found = torch_pickle.load(io.BytesIO(pickled(described)))
    storage = Storage("0", np.dtype(np.float16), 12)
    assert found == {
        "a": Tensor(storage, 0, (2, 3), (3, 1), np.dtype(np.float16)),
        "b": Tensor(storage, 4, (3,), (2,), np.dtype(np.float16)),
    }
    assert len(list(torch_pickle.tensors({"x": [found, (found["a"],)]}))) == 3


class Trap:
    """What a pickle would run on being loaded: it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return open, (str(self.marker), "w")


@pytest.mark.parametrize("protocol", range(5))
def test_nothing_is_run(tmp_path: Path, protocol: int):
    marker = tmp_path / "marker"
    data = pickle.dumps({"a": Trap(marker)}, protocol)
    pickle.loads(data)["a"].close()
    assert marker.exists()  # so the trap works
    marker.unlink()
    with pytest.raises(Refused, match="io.open"):
        torch_pickle.load(io.BytesIO(data))
    assert not marker.exists()


@pytest.mark.parametrize(
    ("content", "refused"),
    [
        (b"cos\nsystem\n", "os.system"),
        (b"cbuiltins\ngetattr\n", "builtins.getattr"),
        (b"ctorch\nload\n", "torch.load"),
        (b"(S'id'\nios\nsystem\n", "opcode INST"),
        (b"ccollections\nOrderedDict\n)\x81", "opcode NEWOBJ"),
        (b"\x82\x01", "opcode EXT1"),
        (text("x") + b")R", "a call of something that is no function"),
        (b"ctorch\nFloatStorage\n)R", "a call of something that is no function"),
        (b"ccollections\nOrderedDict\n}b", "state of something that is no dictionary"),
        (
            b"(" + text("module") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + number(1) + b"tQ",
            "a stored module",
        ),
    ],
)
def test_what_is_refused_is_named(content: bytes, refused: str):
    with pytest.raises(Refused, match=refused):
        torch_pickle.load(io.BytesIO(pickled(content)))


@pytest.mark.parametrize("content", [b"", b"t", b"h\x05", b"}]\x4b\x01s", b"\x85\x85", b"(K\x01u"])
def test_a_damaged_pickle_is_a_value_error(content: bytes):
    with pytest.raises(ValueError):
        torch_pickle.load(io.BytesIO(pickled(content)))
