"""Residual networks of torchvision, for CIFAR, and in checkpoints of MoCo and SimCLR."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.resnet import CifarResNet, ResNet, ResNet18, ResNet50
from jaxvision.weights import torchvision
from jaxvision.weights.rename import flat
from jaxvision.weights.resnets import RESNET
from tests.weights.layer_names import assert_same_layers
from tests.weights.peers import MEAN, STD, assert_close, photos, randomised, through_a_file, to_torch, variables_of
from tests.weights.torch_bytes import saved

CASES = {
    "resnet18": (ResNet18, {}, 97),
    "resnet50": (ResNet50, {}, 97),
    "resnet50 dilated": (
        partial(ResNet50, num_classes=7, output_stride=8),
        {"num_classes": 7, "replace_stride_with_dilation": [False, True, True]},
        65,
    ),
}


@pytest.mark.peer
@pytest.mark.parametrize("name", list(CASES))
def test_logits_equal_torchvisions(tmp_path: Path, name: str):
    torch, peer = pytest.importorskip("torch"), pytest.importorskip("torchvision")
    make, settings, size = CASES[name]
    torch.manual_seed(0)
    torch_model = randomised(getattr(peer.models, name.split()[0])(weights=None, **settings))
    imported = through_a_file(torch_model, tmp_path)
    compare(make(), imported, torch_model, size)
    assert imported.network == "resnet" and len(imported.class_names) == settings.get("num_classes", 1000)


def compare(model: Any, imported: Any, torch_model: Any, size: int, output: str = "logits") -> None:
    import torch

    x = ((photos(size, size) - MEAN) / STD).astype(np.float32)
    with torch.no_grad(), jax.default_matmul_precision("highest"):
        theirs = torch_model(to_torch(x)).numpy()
        ours = jax.jit(partial(model.apply, train=False))(variables_of(model, imported), x)[output]
    assert_close(ours, theirs)
    np.testing.assert_array_equal(ours.argmax(-1), theirs.argmax(-1))


def cifar_resnet(depth: int, option: str) -> Any:
    """The networks of section 4.2 in torch, with the names and the padding that files of them have."""
    from torch import nn
    from torch.nn.functional import pad

    class Padded(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.side = channels // 4

        def forward(self, x: Any) -> Any:
            return pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.side, self.side))

    class Block(nn.Module):
        def __init__(self, before: int, channels: int, stride: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(channels)
            self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(channels)
            projection = [nn.Conv2d(before, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)]
            changed: Any = Padded(channels) if option == "A" else nn.Sequential(*projection)
            self.shortcut = nn.Sequential() if stride == 1 else changed

        def forward(self, x: Any) -> Any:
            y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
            return (y + self.shortcut(x)).relu()

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
            blocks, before = (depth - 2) // 6, 16
            for stage, channels in enumerate((16, 32, 64), start=1):
                layers = [Block(before, channels, 1 if stage == 1 else 2)]
                layers += [Block(channels, channels, 1) for _ in range(blocks - 1)]
                self.add_module(f"layer{stage}", nn.Sequential(*layers))
                before = channels
            self.linear = nn.Linear(64, 10)

        def forward(self, x: Any) -> Any:
            x = self.layer3(self.layer2(self.layer1(self.bn1(self.conv1(x)).relu())))
            return self.linear(x.mean((2, 3)))

    return Net()


@pytest.mark.peer
@pytest.mark.parametrize("option", ["A", "B"])
def test_cifars_networks_behind_data_parallel(tmp_path: Path, option: str):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    torch_model = randomised(cifar_resnet(20, option))
    checkpoint = {"state_dict": torch.nn.DataParallel(torch_model).state_dict(), "best_prec1": 91.7}
    torch.save(checkpoint, tmp_path / "checkpoint.th")
    imported = torchvision.read(str(tmp_path / "checkpoint.th"))
    compare(CifarResNet(10, 20, option), imported, torch_model, 32)
    back = torchvision.write(imported.variables)[1]
    torch_model.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in back.items()}, strict=True)


@pytest.mark.peer
@pytest.mark.parametrize("kind", ["moco", "simclr", "simclr with a projector"])
def test_the_encoder_of_a_checkpoint_without_labels(tmp_path: Path, kind: str):
    torch, peer = pytest.importorskip("torch"), pytest.importorskip("torchvision")
    torch_model = randomised(peer.models.resnet18(weights=None))
    torch_model.fc = torch.nn.Sequential(torch.nn.Linear(512, 512), torch.nn.ReLU(), torch.nn.Linear(512, 128))
    prefix = {"moco": "module.encoder_q.", "simclr": "backbone.", "simclr with a projector": "encoder."}[kind]
    content = {f"{prefix}{name}": value for name, value in torch_model.state_dict().items()}
    if kind == "moco":
        content |= {name.replace("encoder_q", "encoder_k"): value + 1 for name, value in content.items()}
        content |= {"module.queue": torch.randn(128, 64), "module.queue_ptr": torch.zeros(1, dtype=torch.long)}
    if "projector" in kind:
        content = {name: value for name, value in content.items() if ".fc." not in name}
        content |= {"projector.0.weight": torch.randn(64, 512)}
    torch.save({"epoch": 200, "arch": "resnet18", "state_dict": content}, tmp_path / "w.pth.tar")
    imported = torchvision.read(str(tmp_path / "w.pth.tar"))
    assert imported.network == kind.split()[0] and imported.class_names == ()
    assert imported.mean == ((123.675, 116.28, 103.53) if kind == "moco" else (0.0, 0.0, 0.0))
    torch_model.fc = torch.nn.Identity()
    compare(ResNet18(None), imported, torch_model, 65, output="pool")


NETWORKS = {
    "resnet": partial(ResNet, 10, 18, width=0.0625),
    "cifar_resnet": partial(CifarResNet, 10, 20, "A"),
    "cifar_resnet_b": partial(CifarResNet, 10, 20, "B"),
}


@pytest.mark.parametrize("name", list(NETWORKS))
def test_our_network_there_and_back(name: str, filled: Callable[..., dict], tmp_path: Path):
    variables = filled(NETWORKS[name](), jnp.zeros((1, 32, 32, 3)))
    found, tensors = torchvision.write(variables)
    imported = torchvision.read(str(saved(tmp_path / "w.pth", tensors)))
    assert found == imported.network == name
    before, back = flat(variables), flat(imported.variables)
    assert back.keys() == before.keys()
    for path, value in back.items():
        np.testing.assert_array_equal(value, before[path])


def test_padded_channels_change_places_and_come_back(filled: Callable[..., dict]):
    variables = filled(CifarResNet(10, 20, "A"), jnp.zeros((1, 32, 32, 3)))
    theirs = torchvision.write(variables)[1]
    ours = variables["params"]["layer2_0"]["conv2"]["kernel"]
    # Of the second stage's 32 channels, the first stage's 16 are ours 0 … 15 and theirs 8 … 23.
    np.testing.assert_array_equal(theirs["layer2.0.conv2.weight"][8], ours[..., 0].transpose(2, 0, 1))
    np.testing.assert_array_equal(theirs["layer2.0.conv2.weight"][0], ours[..., 16].transpose(2, 0, 1))


def test_a_network_with_anything_more_is_not_taken_for_an_encoder(filled: Callable[..., dict], tmp_path: Path):
    tensors = torchvision.write(filled(ResNet(None, 18, width=0.0625), jnp.zeros((1, 32, 32, 3))))[1]
    inside = {f"backbone.{name}": value for name, value in tensors.items()}
    assert torchvision.read(str(saved(tmp_path / "a.pth", inside))).network == "simclr"
    more = inside | {"classifier.0.convs.0.0.weight": np.zeros((1, 1, 1, 1), np.float32)}
    with pytest.raises(ValueError, match="b.pth: a network with backbone.+ is none that is known here"):
        torchvision.read(str(saved(tmp_path / "b.pth", more)))


@pytest.mark.parametrize("depth", [34, 101, 152])
def test_every_layer_of_a_deep_network_has_its_rule(depth: int):
    assert_same_layers(RESNET, ResNet(depth=depth), 64)
