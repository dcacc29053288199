"""Inception v3 of published FIDs: its size, TensorFlow's two ways to pool, and torchvision's network with these."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.fid_inception import BLOCKS, FIDInception, InceptionBlock, _pooled
from jaxvision.weights import fid_inception as reader
from jaxvision.weights.rename import nested

KEY = jax.random.PRNGKey(0)


def test_it_has_the_parameters_of_the_published_network():
    sizes = [int(np.prod(shape)) for path, shape in reader.shapes().items() if path[0] == "params"]
    # torchvision's Inception v3 without its side classifier, with 8 classes more and no bias behind them.
    assert sum(sizes) == 23_834_568 + 8 * 2049 - 1008


def test_features_and_logits_of_an_image():
    images = jnp.zeros((2, 299, 299, 3))
    variables = jax.eval_shape(lambda: FIDInception().init(KEY, images))
    found = jax.eval_shape(lambda v: FIDInception().apply(v, images), variables)
    assert {name: array.shape for name, array in found.items()} == {"pool": (2, 2048), "logits": (2, 1008)}
    with pytest.raises(ValueError, match="it is not trained"):
        FIDInception().init(KEY, images, train=True)


def test_averages_are_of_pixels_inside_the_map_and_the_last_block_takes_the_maximum():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 3, 4, 2)), jnp.float32)
    average, highest = _pooled(x, "average"), _pooled(x, "max")
    np.testing.assert_allclose(average[0, 0, 0], np.asarray(x)[0, :2, :2].mean((0, 1)), rtol=1e-5)
    np.testing.assert_allclose(highest[0, 2, 3], np.asarray(x)[0, 1:, 2:].max((0, 1)))
    assert {name: block.pool for name, block in BLOCKS.items() if block.pool != "average"} == {
        "Mixed_6a": "down", "Mixed_7a": "down", "Mixed_7c": "max"
    }  # fmt: skip


def test_branches_are_joined_in_torchvisions_order():
    shapes = {
        "Mixed_5b": (192, 35, 256),
        "Mixed_6a": (288, 35, 768),
        "Mixed_7a": (768, 17, 1280),
        "Mixed_7c": (2048, 8, 2048),
    }
    for name, (inputs, side, outputs) in shapes.items():
        x = jnp.zeros((1, side, side, inputs))
        made, variables = jax.eval_shape(lambda x=x, n=name: InceptionBlock(BLOCKS[n]).init_with_output(KEY, x))
        assert made.shape[-1] == outputs and made.shape[1] == (side if BLOCKS[name].pool != "down" else side // 2)
        assert all(set(unit) == {"conv", "bn"} for unit in variables["params"].values())


@pytest.mark.peer
def test_equals_torchvisions_network_with_tensorflows_pools(tmp_path, monkeypatch: pytest.MonkeyPatch):
    torch, peer = pytest.importorskip("torch"), pytest.importorskip("torchvision")
    torch.manual_seed(0)
    theirs = peer.models.inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False).eval()
    with torch.no_grad():
        for name, value in theirs.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 1.5)
            elif name.endswith(("running_mean", "bias")):
                value.normal_(0, 0.1)
    functional, averages = torch.nn.functional, []
    average = functional.avg_pool2d

    def tensorflows(x, **given):
        averages.append(x.shape[1])
        if len(averages) == 9:  # the last block's
            return functional.max_pool2d(x, **given)
        return average(x, **given, count_include_pad=False)

    monkeypatch.setattr(functional, "avg_pool2d", lambda x, kernel_size, stride, padding: tensorflows(
        x, kernel_size=kernel_size, stride=stride, padding=padding
    ))  # fmt: skip
    torch.save(theirs.state_dict(), tmp_path / "inception.pth")
    images = np.random.default_rng(0).uniform(-1, 1, (1, 299, 299, 3)).astype(np.float32)
    seen: dict = {}
    theirs.avgpool.register_forward_hook(lambda module, inputs, output: seen.update(pool=output.flatten(1).numpy()))
    with torch.no_grad():
        logits = theirs(torch.tensor(images.transpose(0, 3, 1, 2))).numpy() - theirs.fc.bias.numpy()
    assert len(averages) == 9
    ours = jax.jit(FIDInception().apply)(reader.read(str(tmp_path / "inception.pth")), jnp.asarray(images))
    scale = np.abs(seen["pool"]).max()
    np.testing.assert_allclose(ours["pool"], seen["pool"], atol=1e-4 * scale)
    np.testing.assert_allclose(ours["logits"], logits, atol=1e-4 * np.abs(logits).max())


def test_variables_by_path_are_those_of_the_network():
    tree = nested({path: np.broadcast_to(np.float32(0), shape) for path, shape in reader.shapes().items()})
    assert set(tree) == {"params", "batch_stats"} and "Mixed_7c" in tree["params"]
