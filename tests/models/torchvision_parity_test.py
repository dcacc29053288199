"""Random torchvision networks, renamed layer for layer, give the same logits."""

import re
from collections.abc import Callable, Iterator
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

pytestmark = pytest.mark.peer
torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")

FIELDS = {"running_mean": "mean", "running_var": "var", "bias": "bias"}
BRANCHES = {
    "branch1.": "conv1x1.",
    "branch2.0.": "reduce3x3.",
    "branch2.1.": "conv3x3.",
    "branch3.0.": "reduce5x5.",
    "branch3.1.": "conv5x5.",
    "branch4.1.": "pool_proj.",
}


def _renamer(model: nn.Module, torch_model: "torch.nn.Module") -> Callable[[str], str]:
    """AlexNet and VGG: the modules of `features` in order, then fc6 to fc8. The others: by pattern."""
    if isinstance(model, GoogLeNet):
        return _googlenet_name
    if not hasattr(torch_model, "features"):
        return _resnet_name
    layers = iter(_sequential_names(model, torch_model))
    names = {
        name: next(layers) for name, module in torch_model.named_modules() if list(module.parameters(recurse=False))
    }
    return names.__getitem__


def _sequential_names(model: nn.Module, torch_model: "torch.nn.Module") -> Iterator[str]:
    block, i = 1, 0
    for module in torch_model.features:
        if isinstance(module, torch.nn.MaxPool2d) and isinstance(model, VGG11.func):
            block, i = block + 1, 0
        elif isinstance(module, torch.nn.Conv2d):
            i += 1
            yield f"conv{block}_{i}" if isinstance(model, VGG11.func) else f"conv{i}"
        elif isinstance(module, torch.nn.BatchNorm2d):
            yield f"bn{block}_{i}"
    yield from ("fc6", "fc7", "fc8")


def _resnet_name(name: str) -> str:
    name = re.sub(r"^(layer\d)\.(\d+)", r"\1_\2", name)
    return name.replace("downsample.0", "shortcut.conv").replace("downsample.1", "shortcut.bn")


def _googlenet_name(name: str) -> str:
    name = re.sub(r"^inception(\d)(.)", r"inception_\1\2", name)
    name = re.sub(r"^conv2\.", "conv2_reduce.", name)
    name = re.sub(r"^conv3\.", "conv2.", name)
    name = name.replace("aux1.", "aux_4a.").replace("aux2.", "aux_4d.")
    for theirs, ours in BRANCHES.items():
        name = name.replace(theirs, ours)
    return name


def _leaf(value: np.ndarray, field: str, shape: tuple[int, ...]) -> tuple[str, str, np.ndarray]:
    """Collection, field and value of one of torch's tensors; `shape` is that of ours."""
    if field in ("running_mean", "running_var"):
        return "batch_stats", FIELDS[field], value
    if value.ndim == 4:
        return "params", "kernel", value.transpose(2, 3, 1, 0)
    if value.ndim == 2 and shape[0] != value.shape[1]:
        raise AssertionError(f"{shape} is not the transpose of {value.shape}")
    return "params", "bias" if field == "bias" else "kernel" if value.ndim == 2 else "scale", value


def _flattened(value: np.ndarray, channels: int) -> np.ndarray:
    """[O, C·H·W] in torch's order -> [H·W·C, O]; a layer after a global average has H = W = 1."""
    side = round((value.shape[1] // channels) ** 0.5)
    return value.reshape(-1, channels, side, side).transpose(2, 3, 1, 0).reshape(value.shape[1], -1)


def _variables(model: nn.Module, torch_model: "torch.nn.Module", flat_channels: dict[str, int], size: int) -> dict:
    image = jax.ShapeDtypeStruct((1, size, size, 3), np.float32)
    shapes = jax.eval_shape(lambda key, x: model.init(key, x, train=False), jax.random.PRNGKey(0), image)
    rename, variables = _renamer(model, torch_model), {}
    for key, tensor in torch_model.state_dict().items():
        name, field = key.rsplit(".", 1)
        if field == "num_batches_tracked":
            continue
        path, value = rename(name).split("."), tensor.numpy()
        collection, leaf, value = _leaf(value, field, value.shape[::-1])
        if value.ndim == 2:
            value = _flattened(value, flat_channels.get(".".join(path), value.shape[1]))
        node = variables.setdefault(collection, {})
        for part in path:
            node = node.setdefault(part, {})
        node[leaf] = value
    assert jax.tree.map(np.shape, variables) == jax.tree.map(lambda s: s.shape, shapes)
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
    "alexnet": (partial(AlexNet, variant="torchvision"), {}, 224, {"fc6": 256}),
    "vgg11": (VGG11, {}, 224, {"fc6": 512}),
    "vgg11_bn": (partial(VGG11, batch_norm=True), {}, 256, {"fc6": 512}),
    "googlenet": (
        partial(GoogLeNet, variant="torchvision"),
        {"transform_input": False, "aux_logits": True, "init_weights": False},
        224,
        {"aux_4a.fc1": 128, "aux_4d.fc1": 128},
    ),
    "resnet18": (ResNet18, {}, 97, {}),
    "resnet50": (ResNet50, {}, 97, {}),
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
    make, settings, size, flat_channels = CASES[name]
    torch.manual_seed(0)
    torch_model = _randomised(getattr(torchvision.models, name)(weights=None, **settings))
    model = make()
    _assert_equal_logits(model, torch_model, _variables(model, torch_model, flat_channels, size), size)


def test_auxiliary_logits_equal_torchvisions() -> None:
    make, settings, size, flat_channels = CASES["googlenet"]
    torch.manual_seed(1)
    torch_model = _randomised(torchvision.models.googlenet(weights=None, **settings))
    variables = _variables(make(), torch_model, flat_channels, size)
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
    _assert_equal_logits(model, torch_model, _variables(model, torch_model, {}, 65), 65)
