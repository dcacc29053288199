"""Files of torchvision's networks, and what happens to files of others."""

from pathlib import Path

import jax
import numpy as np
import pytest

from jaxvision.models.resnet import ResNet
from jaxvision.weights import load
from jaxvision.weights.imported import merge
from tests.weights.torch_bytes import saved

WIDTH = 1 / 16  # the tables are of names: the networks may be narrow


def resnet18(classes: int) -> dict[str, np.ndarray]:
    """A state dict as torchvision's ResNet-18 has it, but for its width."""
    tensors: dict[str, np.ndarray] = {}
    rng = np.random.default_rng(0)

    def unit(conv: str, norm: str, outputs: int, inputs: int, side: int) -> None:
        tensors[f"{conv}.weight"] = rng.normal(size=(outputs, inputs, side, side)).astype(np.float32)
        for field in ("weight", "bias", "running_mean", "running_var"):
            tensors[f"{norm}.{field}"] = rng.uniform(size=outputs).astype(np.float32)
        tensors[f"{norm}.num_batches_tracked"] = np.array(1)

    unit("conv1", "bn1", 4, 3, 7)
    inputs = 4
    for stage, outputs in enumerate((4, 8, 16, 32), start=1):
        for block in range(2):
            name = f"layer{stage}.{block}"
            unit(f"{name}.conv1", f"{name}.bn1", outputs, inputs, 3)
            unit(f"{name}.conv2", f"{name}.bn2", outputs, outputs, 3)
            if inputs != outputs:
                unit(f"{name}.downsample.0", f"{name}.downsample.1", outputs, inputs, 1)
            inputs = outputs
    tensors["fc.weight"] = rng.normal(size=(classes, 32)).astype(np.float32)
    tensors["fc.bias"] = rng.normal(size=classes).astype(np.float32)
    return tensors


def variables_of(classes: int, depth: int = 18) -> dict:
    net = ResNet(classes, depth, width=WIDTH)
    shapes = jax.eval_shape(
        lambda key, x: net.init(key, x, train=False), jax.random.PRNGKey(0), np.zeros((1, 33, 33, 3))
    )
    return jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), shapes)


def test_a_file_becomes_the_network(tmp_path: Path):
    tensors = resnet18(1000)
    imported = load.load(f"torchvision:{saved(tmp_path / 'r.pth', tensors)}")
    assert imported.mean == (123.675, 116.28, 103.53) and imported.class_names[0] == "tench"
    merged = merge(variables_of(1000), imported)
    np.testing.assert_array_equal(merged["params"]["fc"]["kernel"], tensors["fc.weight"].T)
    np.testing.assert_array_equal(
        merged["params"]["layer2_0"]["shortcut"]["conv"]["kernel"],
        tensors["layer2.0.downsample.0.weight"].transpose(2, 3, 1, 0),
    )
    np.testing.assert_array_equal(merged["batch_stats"]["layer4_1"]["bn2"]["var"], tensors["layer4.1.bn2.running_var"])


def test_other_classes_need_a_new_head(tmp_path: Path):
    spec = f"torchvision:{saved(tmp_path / 'r.pth', resnet18(5))}"
    assert load.load(spec).class_names == ("0", "1", "2", "3", "4")
    with pytest.raises(ValueError, match=r"r.pth: of another shape: fc/kernel .*; --head=new leaves"):
        merge(variables_of(7), load.load(spec))
    merged = merge(variables_of(7), load.load(spec, "new"))["params"]
    assert merged["fc"]["kernel"].shape == (32, 7) and merged["conv1"]["kernel"].max() > 0


def test_another_depth_is_told_both_ways(tmp_path: Path):
    imported = load.load(f"torchvision:{saved(tmp_path / 'r.pth', resnet18(1000))}")
    with pytest.raises(ValueError) as error:
        merge(variables_of(1000, depth=34), imported)
    assert "only in the network: layer1_2/" in str(error.value) and "\n" not in str(error.value)
    assert str(error.value).endswith("choose the network of the file")


def test_a_network_that_no_table_knows_is_named(tmp_path: Path):
    file = saved(tmp_path / "x.pth", {"blocks.0.attn.weight": np.zeros((2, 2), np.float32)})
    with pytest.raises(ValueError, match=r"x.pth: a network with blocks.0.attn.weight … is none .*: AlexNet, VGG"):
        load.load(f"torchvision:{file}")
