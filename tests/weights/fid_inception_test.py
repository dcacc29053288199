"""The file of Inception v3 that pytorch-fid ships: its names, and others that are refused."""

from pathlib import Path

import numpy as np
import pytest

from jaxvision.weights import fid_inception, state_dict
from jaxvision.weights.rename import to_theirs


def shipped(**changed: tuple[int, ...]) -> dict[str, np.ndarray]:
    """A state dict with the names and shapes of the file; arrays take no memory."""
    arrays = {path: np.broadcast_to(np.float32(0), shape) for path, shape in fid_inception.shapes().items()}
    tensors = to_theirs(arrays, fid_inception._RULES)
    assert tensors is not None
    tensors["fc.bias"] = np.zeros(1008, np.float32)
    tensors["Conv2d_1a_3x3.bn.num_batches_tracked"] = np.zeros((), np.int64)
    for name, shape in changed.items():
        tensors[name] = np.broadcast_to(np.float32(0), shape)
    return tensors


def test_every_array_of_the_file_has_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tensors = shipped()
    assert tensors["Mixed_6b.branch7x7_2.conv.weight"].shape == (128, 128, 1, 7)
    assert tensors["Mixed_7c.branch3x3dbl_3b.bn.running_var"].shape == (384,)
    assert tensors["Conv2d_2b_3x3.conv.weight"].shape == (64, 32, 3, 3) and len(tensors) == 94 * 5 + 3
    monkeypatch.setattr(state_dict, "read", lambda file: tensors)
    params = fid_inception.read("shipped.pth")["params"]
    assert params["Mixed_6b"]["branch7x7_2"]["conv"]["kernel"].shape == (1, 7, 128, 128)
    assert params["fc"]["kernel"].shape == (2048, 1008) and "bias" not in params["fc"]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"AuxLogits.conv0.conv.weight": (128, 768, 1, 1)}, "has AuxLogits.conv0.conv.weight"),
        ({"fc.weight": (1000, 2048)}, "differs in fc/kernel"),
        ({"features.0.weight": (64, 3, 3, 3)}, "has other layers"),
    ],
)
def test_another_network_is_named_in_one_line(changed: dict, reason: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(state_dict, "read", lambda file: shipped(**changed))
    with pytest.raises(ValueError, match=f"--extractor=inception:mine.pth: {reason}; give pt_inception-2015-12-05"):
        fid_inception.read("mine.pth")
