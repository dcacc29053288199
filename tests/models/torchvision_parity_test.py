"""Random torchvision networks, renamed layer for layer, give the same logits."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.alexnet import AlexNet
from jaxvision.models.googlenet import AuxiliaryHead, ConvUnit, GoogLeNet
from jaxvision.models.layers import BatchNorm
from jaxvision.models.resnet import ResNet18, ResNet50
from jaxvision.models.vgg import VGG11
from jaxvision.weights.imported import merge
from jaxvision.weights.torchvision import recognised

pytestmark = pytest.mark.peer
torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")


def taken_over(model: nn.Module, torch_model: "torch.nn.Module", size: int, train: bool = False) -> dict:
    """Variables of `model`, every one of them with torch's value."""
    image = jax.ShapeDtypeStruct((1, size, size, 3), np.float32)
    rngs = {"params": jax.random.PRNGKey(0), "dropout": jax.random.PRNGKey(1)}
    shapes = jax.eval_shape(partial(model.init, train=train), rngs, image)
    tensors = {name: value.numpy() for name, value in torch_model.state_dict().items()}
    missing = jax.tree.map(lambda s: np.full(s.shape, np.nan, s.dtype), shapes)
    variables = merge(missing, recognised(tensors, "torchvision"))
    assert jax.tree.map(np.shape, variables) == jax.tree.map(lambda s: s.shape, shapes)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(variables))
    return variables


def _randomised(torch_model: "torch.nn.Module") -> "torch.nn.Module":
    """Statistics and scales that are not 0 and 1, so that a mistake in either shows."""
    for module in torch_model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.2)
    return torch_model.eval()


CASES = {
    "alexnet": (partial(AlexNet, variant="torchvision"), {}, 224),
    "vgg11": (VGG11, {}, 224),
    "vgg11_bn": (partial(VGG11, batch_norm=True), {}, 256),
    "googlenet": (
        partial(GoogLeNet, variant="torchvision"),
        {"transform_input": False, "aux_logits": True, "init_weights": False},
        224,
    ),
    "resnet18": (ResNet18, {}, 97),
    "resnet50": (ResNet50, {}, 97),
}


def _assert_equal_logits(model: nn.Module, torch_model: "torch.nn.Module", variables: dict, size: int) -> None:
    x = np.random.default_rng(0).normal(size=(2, size, size, 3)).astype(np.float32)
    with torch.no_grad(), jax.default_matmul_precision("highest"):
        expected = torch_model(torch.from_numpy(x.transpose(0, 3, 1, 2))).numpy()
        logits = jax.jit(partial(model.apply, train=False))(variables, x)["logits"]
    # Random networks with batch norm give logits far from 1: the tolerance is one of their largest.
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(logits / scale, expected / scale, atol=1e-4)
    np.testing.assert_array_equal(logits.argmax(-1), expected.argmax(-1))


@pytest.mark.parametrize("name", list(CASES))
def test_logits_equal_torchvisions(name: str) -> None:
    make, settings, size = CASES[name]
    torch.manual_seed(0)
    torch_model = _randomised(getattr(torchvision.models, name)(weights=None, **settings))
    model = make()
    _assert_equal_logits(model, torch_model, taken_over(model, torch_model, size), size)


def test_auxiliary_logits_equal_torchvisions() -> None:
    make, settings, size = CASES["googlenet"]
    torch.manual_seed(1)
    torch_model = _randomised(torchvision.models.googlenet(weights=None, **settings))
    variables = taken_over(make(), torch_model, size)
    features = np.random.default_rng(1).normal(size=(2, 14, 14, 512)).astype(np.float32)
    with torch.no_grad():
        expected = torch_model.aux1(torch.from_numpy(features.transpose(0, 3, 1, 2))).numpy()
    head = AuxiliaryHead(
        1000, partial(ConvUnit, norm=partial(BatchNorm, epsilon=1e-3, use_running_average=True)), False
    )
    stored = {collection: tree["aux_4a"] for collection, tree in variables.items()}
    np.testing.assert_allclose(head.apply(stored, jnp.asarray(features), train=False), expected, atol=1e-4)


def test_dilated_resnet_equals_torchvisions() -> None:
    settings = {"replace_stride_with_dilation": [False, True, True]}
    torch_model = _randomised(torchvision.models.resnet50(weights=None, num_classes=7, **settings))
    model = ResNet50(num_classes=7, output_stride=8)
    _assert_equal_logits(model, torch_model, taken_over(model, torch_model, 65), 65)
