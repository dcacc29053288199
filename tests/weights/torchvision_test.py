"""Which network a file holds, and what a file of none says."""

from collections.abc import Callable
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.resnet import CifarResNet, ResNet
from jaxvision.weights import state_dict, torchvision
from jaxvision.weights.imported import merge
from tests.weights.peers import randomised, through_a_file
from tests.weights.torch_bytes import saved

WIDTH = 0.0625


def test_the_file_says_how_images_are_seen_and_what_classes_there_are(filled: Callable[..., dict], tmp_path: Path):
    variables = filled(ResNet(1000, 18, width=WIDTH), jnp.zeros((1, 32, 32, 3)))
    file = tmp_path / "r.safetensors"
    state_dict.write(str(file), torchvision.write(variables)[1])
    imported = torchvision.read(str(file))
    assert imported.origin == str(file) and imported.class_names[0] == "tench"
    assert imported.mean == (123.675, 116.28, 103.53) and imported.preprocess.resize == 256
    merged = merge(filled(ResNet(1000, 18, width=WIDTH), jnp.zeros((1, 32, 32, 3))), imported)
    np.testing.assert_array_equal(merged["params"]["fc"]["kernel"], variables["params"]["fc"]["kernel"])


def test_classes_without_a_table_are_numbers(filled: Callable[..., dict], tmp_path: Path):
    tensors = torchvision.write(filled(CifarResNet(10, 20, "B"), jnp.zeros((1, 32, 32, 3))))[1]
    assert torchvision.read(str(saved(tmp_path / "w.pth", tensors))).class_names == tuple("0123456789")


def test_the_wrong_architecture_is_one_line(filled: Callable[..., dict], tmp_path: Path):
    tensors = torchvision.write(filled(ResNet(10, 50, width=WIDTH), jnp.zeros((1, 32, 32, 3))))[1]
    imported = torchvision.read(str(saved(tmp_path / "r50.pth", tensors)))
    with pytest.raises(ValueError) as error:
        merge(filled(ResNet(10, 18, width=WIDTH), jnp.zeros((1, 32, 32, 3))), imported)
    assert "\n" not in str(error.value) and "choose the network of the file" in str(error.value)
    assert "r50.pth: only in the file: layer1_0/bn3/" in str(error.value) and " more; of another" in str(error.value)
    assert " in the file and (" in str(error.value)


def test_a_network_of_nobody_is_named(tmp_path: Path):
    file = saved(tmp_path / "vit.pth", {"patch_embed.weight": np.zeros((2, 2), np.float32)})
    with pytest.raises(
        ValueError, match="vit.pth: a network with patch_embed.weight … is none that is known here: Ale"
    ):
        torchvision.read(str(file))
    with pytest.raises(ValueError, match="--mode=export: a network with latent … has no counterpart in torch"):
        torchvision.write({"params": {"latent": {"kernel": np.zeros((2, 2), np.float32)}}})


@pytest.mark.peer
@pytest.mark.parametrize(
    "name", ["alexnet", "vgg11_bn", "googlenet", "resnet18", "fcn_resnet50", "maskrcnn_resnet50_fpn"]
)
def test_torch_takes_back_what_it_gave(tmp_path: Path, name: str):
    torch, peer = pytest.importorskip("torch"), pytest.importorskip("torchvision")
    from safetensors.torch import load_file

    untrained = {"weights_backbone": None}  # or it would be downloaded
    settings = {
        "fcn_resnet50": {"aux_loss": True, **untrained},
        "maskrcnn_resnet50_fpn": untrained,
        "googlenet": {"init_weights": False},
    }.get(name, {})
    torch_model = randomised(peer.models.get_model(name, weights=None, **settings))
    found, tensors = torchvision.write(through_a_file(torch_model, tmp_path).variables)
    state_dict.write(str(tmp_path / "back.safetensors"), tensors)
    before = {key: value.clone() for key, value in torch_model.state_dict().items()}
    for value in torch_model.parameters():
        torch.nn.init.zeros_(value)
    torch_model.load_state_dict(load_file(tmp_path / "back.safetensors"), strict=True)
    after = torch_model.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())
