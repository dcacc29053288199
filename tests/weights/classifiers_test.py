"""AlexNet, VGG and GoogLeNet of torchvision give the same logits here."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.alexnet import AlexNet
from jaxvision.models.googlenet import AuxiliaryHead, ConvUnit, GoogLeNet
from jaxvision.models.layers import BatchNorm
from jaxvision.models.vgg import VGG, VGG11, VGG16
from jaxvision.weights import classifiers, torchvision
from jaxvision.weights.rename import flat, nested
from jaxvision.weights.table import Table
from tests.weights.layer_names import assert_same_layers
from tests.weights.peers import MEAN, STD, assert_close, photos, randomised, through_a_file, to_torch, variables_of

Googlenet = partial(GoogLeNet, variant="torchvision")
SETTINGS = {"googlenet": {"aux_logits": True, "init_weights": False, "transform_input": True}}
CASES: dict[str, tuple[Callable[..., nn.Module], int]] = {
    "alexnet": (partial(AlexNet, variant="torchvision"), 224),
    "vgg11": (VGG11, 224),
    "vgg11_bn": (partial(VGG11, batch_norm=True), 256),
    "googlenet": (Googlenet, 224),
}


@pytest.mark.peer
@pytest.mark.parametrize("name", list(CASES))
def test_logits_equal_torchvisions(tmp_path: Path, name: str):
    torch, peer = pytest.importorskip("torch"), pytest.importorskip("torchvision")
    make, size = CASES[name]
    torch.manual_seed(0)
    torch_model = randomised(getattr(peer.models, name)(weights=None, **SETTINGS.get(name, {})))
    imported, model = through_a_file(torch_model, tmp_path), make()
    assert imported.network == name and len(imported.class_names) == 1000
    images = photos(size, size).astype(np.float32)
    with torch.no_grad():
        theirs = torch_model(to_torch((images - MEAN) / STD)).numpy()
    ours = (images - np.float32(imported.mean)) / np.float32(imported.std)
    variables = variables_of(model, imported, size)
    with jax.default_matmul_precision("highest"):
        logits = jax.jit(partial(model.apply, train=False))(variables, ours)["logits"]
    assert_close(logits, theirs)
    np.testing.assert_array_equal(logits.argmax(-1), theirs.argmax(-1))


@pytest.mark.peer
def test_auxiliary_logits_equal_torchvisions(tmp_path: Path):
    torch, peer = pytest.importorskip("torch"), pytest.importorskip("torchvision")
    torch_model = randomised(peer.models.googlenet(weights=None, **SETTINGS["googlenet"]))
    variables = through_a_file(torch_model, tmp_path).variables
    features = np.random.default_rng(1).normal(size=(2, 14, 14, 512)).astype(np.float32)
    with torch.no_grad():
        expected = torch_model.aux1(to_torch(features)).numpy()
    unit = partial(ConvUnit, norm=partial(BatchNorm, epsilon=1e-3, use_running_average=True))
    stored = {collection: dict(tree["aux_4a"]) for collection, tree in variables.items()}
    stored["params"]["fc1"] = {**stored["params"]["fc1"], "kernel": stored["params"]["fc1"]["kernel"].reshape(2048, -1)}
    logits = AuxiliaryHead(1000, unit, False).apply(stored, jnp.asarray(features), train=False)
    np.testing.assert_allclose(logits, expected, atol=1e-4)


NETWORKS = {
    "alexnet": partial(AlexNet, 10, "torchvision", width=0.125),
    "googlenet": partial(Googlenet, 10, width=0.125),
    **{
        f"vgg{depth}{'_bn' if batch_norm else ''}": partial(VGG, 10, net, batch_norm, 0.0625, dense=dense)
        for depth, net, batch_norm, dense in ((11, "A", True, False), (13, "B", False, True), (19, "E", True, True))
    },
}


@pytest.mark.parametrize("name", list(NETWORKS))
def test_our_network_there_and_back(name: str, filled: Callable[..., dict]):
    variables = filled(NETWORKS[name](), jnp.zeros((1, 224, 224, 3)))
    found, tensors = torchvision.write(variables)
    table = next(table for table in torchvision.TABLES if table.name == name)
    assert found == name and all(value.ndim in (1, 2, 4) for value in tensors.values())
    back, before = nested(table.read(tensors)), flat(variables)
    for path, value in flat(back).items():
        np.testing.assert_array_equal(value.reshape(before[path].shape), before[path])
    assert flat(back).keys() == before.keys()


def test_vgg_numbers_its_modules_through_pools():
    names = {rule.ours: rule.theirs for rule in next(t for t in classifiers.VGG if t.name == "vgg16_bn").rules}
    assert (names["conv1_1"], names["bn1_2"], names["conv2_1"], names["conv5_3"], names["fc8"]) == (
        "features.0",
        "features.4",
        "features.7",
        "features.40",
        "classifier.6",
    )


def test_the_trunk_alone_needs_no_fully_connected_layers(filled: Callable[..., dict]):
    _, tensors = torchvision.write(filled(VGG16(10, width=0.0625), jnp.zeros((1, 224, 224, 3))))
    table = next(table for table in classifiers.VGG if table.name == "vgg16")
    assert table.read({name: v for name, v in tensors.items() if name.startswith("features")}) is not None


@pytest.mark.parametrize("table", classifiers.VGG, ids=lambda table: table.name)
def test_every_layer_of_vgg_has_its_rule(table: Table):
    depth, _, norm = table.name.removeprefix("vgg").partition("_")
    net = {"11": "A", "13": "B", "16": "D", "19": "E"}[depth]
    assert_same_layers(table, VGG(net=net, batch_norm=bool(norm)), 224)
