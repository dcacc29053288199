"""DeconvNet: its shapes at 224 pixels, and a size for each window."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.deconvnet import DeconvNet
from jaxvision.ops.dispatch import plain_forms


def test_maps_of_the_paper():
    x = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    net = DeconvNet(21)
    variables = jax.eval_shape(lambda x: net.init(jax.random.PRNGKey(0), x, train=False), x)
    features = jax.eval_shape(lambda v, x: net.apply(v, x, train=False), variables, x)
    wanted = {"pool5": (7, 7, 512), "fc6": (1, 1, 4096), "fc7": (1, 1, 4096), "deconv_fc6": (7, 7, 512),
              "unpool5": (14, 14, 512), "unpool1": (224, 224, 64), "logits": (224, 224, 21)}  # fmt: skip
    assert {name: features[name].shape[1:] for name in wanted} == wanted
    kernels = {k: v["kernel"].shape for k, v in variables["params"].items() if "kernel" in v}
    assert kernels["deconv_fc6"] == (7, 7, 4096, 512) and kernels["deconv3_3"] == (3, 3, 256, 128)
    assert len([k for k in kernels if k.startswith("deconv")]) == 14


@pytest.mark.parametrize("window", [1, 2, 3, 7])
def test_the_last_map_is_as_large_as_the_image(window: int):
    side = 32 * window
    net, x = DeconvNet(5, window, 1 / 32), jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    (features, _) = jax.eval_shape(lambda x: net.init_with_output(jax.random.PRNGKey(0), x, train=False), x)
    assert features["deconv_fc6"].shape[1:3] == (window, window) and features["logits"].shape == (1, side, side, 5)


def test_trains_and_refuses_another_size(filled: Callable):
    net = DeconvNet(3, window=1, width=1 / 32)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 32, 32, 3)), jnp.float32)
    variables = filled(net, x)

    def loss(params):
        outputs, _ = net.apply({**variables, "params": params}, x, train=True, mutable=["batch_stats"])
        return jnp.square(outputs["logits"] - 1).sum()

    with plain_forms():
        grads = jax.jit(jax.grad(loss))(variables["params"])
    assert all(jnp.isfinite(g).all() for g in jax.tree.leaves(grads))
    assert jnp.abs(grads["conv1_1"]["kernel"]).max() > 0
    with pytest.raises(ValueError, match="got 64x32 images: with window 1 give 32x32"):
        net.apply(variables, jnp.zeros((1, 64, 32, 3)), train=False)


def test_a_shallower_vgg_is_mirrored_too():
    x = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    params = jax.eval_shape(
        lambda x: DeconvNet(3, window=1, net="A").init(jax.random.PRNGKey(0), x, train=False)["params"], x
    )
    convolutions = [name for name in params if name.startswith("conv")]
    unpooled = [name for name in params if name.startswith("deconv") and name != "deconv_fc6"]
    assert len(convolutions) == len(unpooled) == 8
