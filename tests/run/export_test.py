"""A network that leaves for other programs does there what it does here."""

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from safetensors.numpy import load_file

from jaxvision.models.resnet import CifarResNet
from jaxvision.ops.upsampling import conv_transpose
from jaxvision.run import export as exporting
from jaxvision.weights.imported import Imported

BATCH = {
    "image": np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8),
    "label": np.zeros(2, np.int32),
    "size": np.full((2, 2), 8.0, np.float32),
}


def predict(kernel: jax.Array, batch) -> dict[str, Any]:
    pixels = batch["image"].astype(jnp.float32).reshape(batch["image"].shape[0], -1)
    return {"scores": pixels @ kernel, "of": {"area": batch["size"].prod(1)}}


KERNEL = jnp.asarray(np.random.default_rng(1).normal(size=(192, 5)).astype(np.float32))


def test_the_program_is_the_network_with_its_weights_for_any_number_of_rows(tmp_path: Path):
    network = partial(predict, KERNEL)
    outputs, pixels = jax.jit(network)(BATCH), {"order": "RGB", "std": [1.0, 1.0, 1.0]}
    path = exporting.write_stablehlo(tmp_path / "export", network, BATCH, outputs, pytest.fail, pixels)
    described = json.loads(path.with_suffix(".json").read_text())
    assert described["pixels"] == {**pixels, "applied": "inside the program"}
    assert described["inputs"] == {
        "image": {"shape": ["b", 8, 8, 3], "dtype": "uint8"},
        "size": {"shape": ["b", 2], "dtype": "float32"},
    }
    assert described["outputs"]["scores"] == {"shape": ["b", 5], "dtype": "float32"}
    assert described["outputs"]["of/area"] == {"shape": ["b"], "dtype": "float32"}
    assert described["platforms"] == ["cpu", "cuda", "tpu"]
    loaded = export.deserialize(bytearray(path.read_bytes()))
    three = {"image": np.tile(BATCH["image"][:1], (3, 1, 1, 1)), "size": np.ones((3, 2), np.float32)}
    np.testing.assert_allclose(loaded.call(three)["scores"], network(three)["scores"], rtol=1e-5)


def test_where_the_number_of_rows_matters_it_stays_as_it_is_and_a_line_says_why():
    def one_by_one(batch) -> dict[str, jax.Array]:
        return {"sums": jnp.stack([batch["image"][row].sum() for row in range(batch["image"].shape[0])])}

    lines: list[str] = []
    assert exporting.stablehlo(one_by_one, BATCH, lines.append).in_avals[0].shape == (2, 8, 8, 3)
    (line,) = lines
    assert re.match(r"the program takes batches of 2 only, not of any number: TypeError: .*_DimExpr", line), line


def test_convolutions_are_ordinary_ones():
    model = CifarResNet(10, 8, width=0.5)
    variables = jax.eval_shape(partial(model.init, train=False), jax.random.PRNGKey(0), jnp.zeros((1, 8, 8, 3)))
    variables = jax.tree.map(lambda leaf: np.full(leaf.shape, 0.1, np.float32), variables)

    def network(batch) -> dict[str, jax.Array]:
        return {"logits": model.apply(variables, batch["image"].astype(jnp.float32), train=False)["logits"]}

    exported = exporting.stablehlo(network, BATCH, pytest.fail)
    module = exported.mlir_module()
    convolutions, products = module.count("stablehlo.convolution"), module.count("stablehlo.dot_general")
    assert convolutions == 7 * products > 0  # on every platform, the products are those of the last layer
    assert exported.in_avals[0].shape[1:] == (8, 8, 3) and str(exported.in_avals[0].shape[0]) == "b"


def test_transposed_convolutions_to_many_outputs_take_any_number_of_rows():
    kernel = jnp.asarray(np.random.default_rng(2).normal(size=(4, 4, 3, 256)), jnp.float32)

    def network(batch) -> dict[str, jax.Array]:
        return {"maps": conv_transpose(jnp.asarray(batch["image"], jnp.float32), kernel, 2, 1)}

    exported = exporting.stablehlo(network, BATCH, pytest.fail)
    assert str(exported.in_avals[0].shape[0]) == "b"
    exporting.check_equal(exported, BATCH, jax.device_get(network(BATCH)))


def test_a_program_that_says_something_else_is_no_result(tmp_path: Path):
    network = partial(predict, KERNEL)
    right = jax.device_get(network(BATCH))
    for name, other in (
        ("scores", {"scores": right["scores"] * 0}),
        ("of/area", {"of": {"area": right["of"]["area"] + 1}}),
    ):
        with pytest.raises(ValueError, match=f"--mode=export: {name} of the exported program differs by"):
            exporting.write_stablehlo(tmp_path, network, BATCH, {**right, **other}, pytest.fail)


def test_weights_leave_under_torchs_names(tmp_path: Path):
    model = CifarResNet(10, 8)
    shapes = jax.eval_shape(partial(model.init, train=False), jax.random.PRNGKey(0), jnp.zeros((1, 8, 8, 3)))
    variables = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), shapes)
    variables["params"]["conv1"]["kernel"][0, 1, 2, 3] = 5
    path = exporting.write_safetensors(tmp_path / "export", variables)
    assert path.name == "cifar_resnet.safetensors"
    assert not path.with_suffix(".json").exists()
    exporting.write_safetensors(tmp_path / "export", variables, {"order": "RGB", "mean": [1.0, 2.0, 3.0]})
    assert json.loads(path.with_suffix(".json").read_text())["pixels"]["mean"] == [1.0, 2.0, 3.0]
    found = load_file(path)
    assert found["conv1.weight"][3, 2, 0, 1] == 5 and found["linear.weight"].shape == (10, 64)


def test_an_exported_network_says_how_its_input_is_made_from_pixels(tmp_path: Path):
    assert exporting.pixels_of(tmp_path) == {}
    learned = {"class_names": ["a"], "mean": [1.0, 2.0, 3.0], "std": [1.0, 1.0, 1.0]}
    (tmp_path / "config.json").write_text(json.dumps({"experiment": "x", "config": {}, "learned": learned}))
    expected = {"order": "RGB", "range": [0, 255], "mean": learned["mean"], "std": learned["std"]}
    assert exporting.pixels_of(tmp_path) == expected
    imported = Imported({}, (4.0, 5.0, 6.0), (7.0, 8.0, 9.0), "file.pth")
    assert exporting.pixels_of(tmp_path, imported)["mean"] == [4.0, 5.0, 6.0]
