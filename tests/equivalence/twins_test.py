"""The networks of `benchmarks/twins.py` have the parameters of ours, layer for layer as many."""

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.detection import faster_rcnn
from experiments.segmentation import fcn
from jaxvision.models.dcgan import Discriminator, Generator
from jaxvision.models.resnet import CifarResNet
from tests import benchmark

pytestmark = pytest.mark.peer


@pytest.fixture
def networks() -> Iterator[ModuleType]:
    """The twins' module, which lies beside the script that imports it."""
    pytest.importorskip("torchvision")
    with benchmark.imported("twin_networks") as module:
        yield module


def sizes(model: nn.Module, *inputs: tuple[int, ...]) -> list[int]:
    """The sizes of our parameters, in order of size."""
    arrays = [jnp.zeros(shape) for shape in inputs]
    shapes = jax.eval_shape(lambda key: model.init(key, *arrays, train=False), jax.random.PRNGKey(0))
    return sorted(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes["params"]))


def theirs(net: Any) -> list[int]:
    return sorted(parameter.numel() for parameter in net.parameters())


def test_resnet20_and_dcgan(networks: ModuleType):
    assert theirs(networks.resnet20(10)) == sizes(CifarResNet(), (1, 32, 32, 3))
    generator, discriminator = networks.players(32, 0.25, 100)
    assert theirs(generator) == sizes(Generator(32, 3, 0.25, 4), (1, 100))
    assert theirs(discriminator) == sizes(Discriminator(32, 0.25, 4), (1, 32, 32, 3))


def test_fcn8s(networks: ModuleType):
    config = fcn.PRESETS["photos"]
    ours = fcn.network(config, config.network, 11)
    assert theirs(networks.FCN8s(11, config.width, config.window, config.hidden)) == sizes(ours, (1, 64, 64, 3))


def test_faster_rcnn(networks: ModuleType):
    config = faster_rcnn.PRESETS["photos"]
    assert theirs(networks.faster_rcnn(4, config)) == sizes(config.network.make(4), (1, 64, 64, 3))
