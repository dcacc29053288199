"""The trunk of HED, read from a file of the layout that Keras writes."""

from pathlib import Path

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.vgg import VGG
from jaxvision.weights import hed
from jaxvision.weights.imported import merge

CHANNELS = {1: (2, 64), 2: (2, 128), 3: (3, 256), 4: (3, 512), 5: (3, 512)}


def write(path: Path, blocks: int = 5) -> Path:
    """A file as Keras writes HED's trunk, of random numbers."""
    rng, before = np.random.default_rng(0), 3
    with h5py.File(path, "w") as file:
        for block in range(1, blocks + 1):
            count, channels = CHANNELS[block]
            for i in range(count):
                place = f"block{block}/layers/conv2d{f'_{i}' if i else ''}/vars"
                file[f"{place}/0"] = rng.normal(0, 0.05, (3, 3, before, channels)).astype(np.float32)
                file[f"{place}/1"] = rng.normal(0, 0.1, channels).astype(np.float32)
                before = channels
    return path


def test_the_convolutions_are_those_of_the_file_and_see_red_green_blue(tmp_path: Path):
    path = write(tmp_path / "hed.weights.h5")
    imported = hed.read(str(path))
    assert len(imported.variables["params"]) == 13
    net = VGG(None, "D", head=False)
    image = jnp.asarray(np.random.default_rng(1).normal(0, 50, (1, 32, 32, 3)), jnp.float32)
    variables = jax.eval_shape(lambda: net.init(jax.random.PRNGKey(0), image, train=False))
    merged = merge(variables, imported)
    with h5py.File(path) as file:
        kernel, bias = file["block1/layers/conv2d/vars/0"][:], file["block1/layers/conv2d/vars/1"][:]
    ours = net.apply(merged, image, train=False)["conv1_1"]
    padded = np.pad(np.asarray(image)[0, :, :, ::-1], ((1, 1), (1, 1), (0, 0)))
    patch = np.einsum("ijc,ijco->o", padded[4:7, 9:12], kernel) + bias
    np.testing.assert_allclose(ours[0, 4, 9], np.maximum(patch, 0), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("spoil", ["missing layers", "no HDF5", "cut short"])
def test_another_file_is_named_in_one_line(tmp_path: Path, spoil: str):
    path = write(tmp_path / "weights.h5", blocks=4)
    if spoil == "no HDF5":
        path.write_bytes(b"nothing of the kind")
    if spoil == "cut short":
        path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(ValueError, match=r"weights.h5: .*expected Keras weights"):
        hed.read(str(path))
