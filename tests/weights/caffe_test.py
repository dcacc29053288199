"""CaffeNet and VGG from files of Caffe's form, merged into our networks."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.alexnet import AlexNet
from jaxvision.recipes import pretrained
from jaxvision.weights import caffe
from jaxvision.weights.imported import merge
from tests.weights.caffe_bytes import saved

WIDTH = 1 / 24
RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(0, 0.1, shape).astype(np.float32)


def caffenet(classes: int = 5) -> dict[str, tuple[np.ndarray, ...]]:
    """Layers of a CaffeNet with 1/24 of the channels, those without weights too; conv2, 4 and 5 have two groups."""
    sizes = {"conv1": (4, 3, 11), "conv2": (10, 2, 5), "conv3": (16, 10, 3), "conv4": (16, 8, 3), "conv5": (10, 8, 3)}
    layers: dict[str, tuple[np.ndarray, ...]] = {}
    for name, (out, inputs, side) in sizes.items():
        layers[name] = (normal(out, inputs, side, side), normal(out))
        if name in ("conv1", "conv2"):
            layers |= {f"pool{name[-1]}": (), f"norm{name[-1]}": ()}
    before = 10 * 36
    for name, out in (("fc6", 171), ("fc7", 171), ("fc8", classes)):
        layers[name], before = (normal(out, before), normal(out)), out
    return layers


@pytest.mark.parametrize("old", [False, True])
def test_the_arrays_are_those_of_the_file_in_either_form(old: bool, tmp_path: Path):
    layers = caffenet()
    imported = caffe.read(str(saved(tmp_path / "net.caffemodel", layers, old=old)))
    params = imported.variables["params"]
    assert list(params) == [name for name, arrays in layers.items() if arrays] and imported.network == "caffenet"
    kernel, bias = layers["conv1"]
    np.testing.assert_array_equal(params["conv1"]["kernel"], kernel[:, ::-1].transpose(2, 3, 1, 0))  # blue to red
    np.testing.assert_array_equal(params["conv2"]["kernel"], layers["conv2"][0].transpose(2, 3, 1, 0))
    np.testing.assert_array_equal(params["conv1"]["bias"], bias)
    np.testing.assert_array_equal(params["fc7"]["kernel"], layers["fc7"][0].T)
    assert imported.preprocess._asdict() | {"order": "BGR", "range": (0, 255), "resize": 256, "crop": 227} == (
        imported.preprocess._asdict()
    )
    assert imported.mean == caffe.CAFFENET_MEAN and imported.std == (1.0, 1.0, 1.0) and imported.class_names[2] == "2"


def test_it_fills_our_network_and_sees_a_flattened_map_as_caffe_does(tmp_path: Path):
    layers = caffenet()
    imported = caffe.read(str(saved(tmp_path / "net.caffemodel", layers)))
    net, image = AlexNet(5, "caffenet", WIDTH), jnp.zeros((1, 227, 227, 3))
    variables = jax.eval_shape(lambda: net.init(jax.random.PRNGKey(0), image, train=False))
    merged = merge(variables, imported)
    assert jax.tree.map(np.shape, merged) == jax.tree.map(np.shape, variables)
    pool5 = RNG.normal(size=(6, 6, 10)).astype(np.float32)
    kernel = merged["params"]["fc6"]["kernel"].reshape(360, 171)
    expected = layers["fc6"][0] @ pool5.transpose(2, 0, 1).ravel()
    np.testing.assert_allclose(pool5.ravel() @ kernel, expected, rtol=1e-4, atol=1e-5)


def test_settings_are_those_of_caffenet_and_rcnn(tmp_path: Path):
    imported = caffe.read(str(saved(tmp_path / "net.caffemodel", caffenet())))
    found = pretrained.settings_of(imported)
    assert (
        found["classification/alexnet"]["variant"] == "caffenet"
        and found["classification/alexnet"]["image_size"] == 227
    )
    assert found["detection/rcnn"] == {"network.kind": "alexnet", "network.width": 1.0}
    assert "fc8" not in pretrained.for_training(imported, "detection/rcnn").variables["params"]
    assert "fc8" in pretrained.for_training(imported, "classification/alexnet").variables["params"]


def test_vgg_has_its_own_mean(tmp_path: Path):
    counts = (2, 2, 3, 3, 3)
    names = [f"conv{block}_{i}" for block, count in enumerate(counts, start=1) for i in range(1, count + 1)]
    layers: dict[str, tuple[np.ndarray, ...]] = {name: (normal(2, 2, 3, 3), normal(2)) for name in names}
    layers["conv1_1"] = (normal(2, 3, 3, 3), normal(2))
    imported = caffe.read(str(saved(tmp_path / "vgg.caffemodel", layers)))
    assert (
        imported.network == "vgg16" and imported.mean == (123.68, 116.779, 103.939) and imported.preprocess.crop == 224
    )
    assert pretrained.settings_of(imported)["classification/vgg"]["net"] == "D"


def test_another_file_is_named_in_one_line(tmp_path: Path):
    other = saved(tmp_path / "other.caffemodel", {"ip1": (normal(3, 4), normal(3))})
    with pytest.raises(ValueError, match="other.caffemodel: ip1 … is neither CaffeNet nor VGG-16"):
        caffe.read(str(other))
    layers = caffenet()
    swapped = {name: layers[name] for name in ("conv1", "norm1", "pool1", *list(layers)[3:])}
    with pytest.raises(ValueError, match="Caffe's AlexNet, whose response normalisation stands before the pools"):
        caffe.read(str(saved(tmp_path / "alexnet.caffemodel", swapped)))
    cut = tmp_path / "cut.caffemodel"
    cut.write_bytes(other.read_bytes()[:-4])
    with pytest.raises(ValueError, match="cut.caffemodel: cut short, or no .caffemodel"):
        caffe.read(str(cut))
