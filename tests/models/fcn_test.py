"""FCN: parameters by hand, maps that lie on each other, and coarse networks inside fine ones."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.fcn import FCN

pytestmark = pytest.mark.usefixtures("plain")
SMALL = {"width": 1 / 32, "pad": 0, "window": 3, "batch_norm": True}
VGG16 = 14_714_688  # parameters of its thirteen convolutions


def initial(net: FCN, image: jnp.ndarray) -> dict:
    return jax.jit(partial(net.init, train=False))(jax.random.key(0, impl="rbg"), image)  # which compiles sooner


def logits_of(net: FCN, variables: dict, image: jnp.ndarray) -> jnp.ndarray:
    return jax.jit(partial(net.apply, train=False))(variables, image)["logits"]


def filled(net: FCN, size: tuple[int, int]) -> tuple[dict, jnp.ndarray]:
    """Variables whose scores are not zero, and an image."""
    rng = np.random.default_rng(0)
    image = jnp.asarray(rng.normal(size=(1, *size, 3)), jnp.float32)
    variables = initial(net, image)
    params = {
        name: jax.tree.map(lambda p: p + jnp.asarray(rng.normal(0, 0.3, p.shape), p.dtype), layer)
        if name.startswith("score")
        else layer
        for name, layer in variables["params"].items()
    }
    return {**variables, "params": params}, image


def test_parameters_of_the_paper():
    x = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    for stride, skips in ((32, ()), (16, (512,)), (8, (512, 256))):
        net = FCN(21, stride)
        variables = jax.eval_shape(lambda x: net.init(jax.random.PRNGKey(0), x, train=False), x)  # noqa: B023
        heads = 512 * 49 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 21 + 21
        fused = sum(c * 21 + 21 + 16 * 21 * 21 for c in skips)
        found = sum(int(np.prod(p.shape)) for p in jax.tree.leaves(variables["params"]))
        assert found == VGG16 + heads + fused


@pytest.mark.parametrize("stride", [32, 16, 8])
@pytest.mark.parametrize("size", [(64, 64), (45, 70), (500, 375)])
def test_logits_are_those_of_every_pixel(stride: int, size: tuple[int, int]):
    for net in (FCN(3, stride, **SMALL), FCN(3, stride, width=1 / 32)):
        x = jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)
        variables = jax.eval_shape(lambda x: net.init(jax.random.PRNGKey(0), x, train=False), x)  # noqa: B023
        out = jax.eval_shape(lambda v, x: net.apply(v, x, train=False), variables, x)  # noqa: B023
        assert out["logits"].shape == (1, *size, 3)


@pytest.mark.parametrize("pad", [0, 100])
def test_a_finer_network_begins_as_the_coarser_one(pad: int):
    settings = SMALL if pad == 0 else {"width": 1 / 32}
    coarse, image = filled(FCN(3, 32, **settings), (64, 96))
    wanted = logits_of(FCN(3, 32, **settings), coarse, image)
    for stride in (16, 8):
        net = FCN(3, stride, **settings)
        fine = initial(net, image)
        assert coarse["params"].keys() < fine["params"].keys()
        merged = {**coarse, "params": {**fine["params"], **coarse["params"]}}
        found = logits_of(net, merged, image)
        scale = float(jnp.abs(wanted).max())  # bilinear twice by 2 and once by 8 is nearly once by 32
        assert float(jnp.abs(found - wanted).mean()) < 0.1 * scale


@pytest.mark.parametrize("pad", [0, 100])
def test_maps_lie_on_each_other(pad: int):
    """A bright spot in the image is seen at its own place in each of the scores' interpolations."""
    settings = {"width": 1 / 8, "kernel_init": lambda key, shape, dtype: jnp.full(shape, 1 / np.prod(shape[:3]), dtype)}
    settings |= {"pad": 0, "window": 7} if pad == 0 else {}
    image = jnp.zeros((1, 128, 128, 3)).at[0, 60:68, 60:68].set(1.0)
    for stride, name in ((16, "score_pool4"), (8, "score_pool3")):
        net = FCN(1, stride, **settings)
        variables = initial(net, image)
        ones = {k: jax.tree.map(jnp.ones_like, v) if k == name else v for k, v in variables["params"].items()}
        both = logits_of(net, {"params": ones}, jnp.concatenate([image, image * 0]))[..., 0]
        map_ = both[0] - both[1]
        rows, columns = np.asarray(map_.sum(1)), np.asarray(map_.sum(0))
        at = np.arange(128) + 0.5
        center = [(rows * at).sum() / rows.sum(), (columns * at).sum() / columns.sum()]
        np.testing.assert_allclose(center, 64, atol=stride / 2)


def test_wrong_settings_are_named():
    x = jnp.zeros((1, 64, 64, 3))
    with pytest.raises(ValueError, match="stride 4: choose 32, 16 or 8"):
        FCN(3, 4, **SMALL).init(jax.random.PRNGKey(0), x, train=False)
    with pytest.raises(ValueError, match="pad 50"):
        FCN(3, 8, pad=50).init(jax.random.PRNGKey(0), x, train=False)


def test_dropout_reaches_the_scores():
    net = FCN(3, 32, dropout=1.0, **SMALL)
    variables, image = filled(net, (64, 64))
    apply = partial(net.apply, train=True, mutable=["batch_stats"], rngs={"dropout": jax.random.PRNGKey(0)})
    scores, _ = jax.jit(apply)(variables, image)
    bias = variables["params"]["score_fc7"]["bias"]
    np.testing.assert_allclose(scores["score_fc7"], np.broadcast_to(bias, scores["score_fc7"].shape), atol=1e-6)
