"""DCGAN: the paper's shapes and parameters, conditions, and edits on the way."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.dcgan import Discriminator, Encoder, Generator


def count(net, *inputs) -> int:
    variables = jax.eval_shape(lambda: net.init(jax.random.PRNGKey(0), *inputs, train=True))
    return sum(int(np.prod(p.shape)) for p in jax.tree.leaves(variables["params"]))


@pytest.mark.parametrize(("kernel", "taps"), [(5, 25), (4, 16)])
def test_parameters_by_hand(kernel: int, taps: int):
    """1024 channels at 4×4 and half as many at each finer map; no bias where batch norm follows."""
    hidden = taps * (1024 * 512 + 512 * 256 + 256 * 128)
    norms = 2 * (512 + 256 + 128)
    ends = 100 * 16 * 1024 + 2 * 1024 + taps * 128 * 3 + 3
    assert count(Generator(64, kernel=kernel), jnp.zeros((1, 100))) == hidden + norms + ends
    ends = taps * 3 * 128 + 128 + 2 * 1024 + 16 * 1024 + 1
    assert count(Discriminator(64, kernel=kernel), jnp.zeros((1, 64, 64, 3))) == hidden + norms - 2 * 128 + ends


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("kernel", [4, 5])
def test_images_fill_their_range_and_maps_double(size: int, kernel: int):
    net = Generator(size, 1, 1 / 32, kernel)
    z = jax.random.normal(jax.random.PRNGKey(0), (4, 10))
    variables = net.init(jax.random.PRNGKey(1), z, train=True)
    features, _ = net.apply(variables, z, train=True, mutable=["batch_stats"])
    sides = [m.shape[1] for m in features.values()]
    assert sides == [4 * 2**i for i in range(len(sides))] and features["image"].shape == (4, size, size, 1)
    assert jnp.abs(features["image"]).max() <= 1
    judged = Discriminator(size, 1 / 32, kernel)
    seen = judged.apply(
        judged.init(jax.random.PRNGKey(0), features["image"], train=False), features["image"], train=False
    )
    assert seen["logits"].shape == (4,) and seen["features"].shape == (4, 16 * seen[f"layer{len(sides) - 1}"].shape[-1])


def test_conditions_are_seen():
    z, labels = jnp.ones((3, 8)), jnp.array([0, 1, 1])
    net = Generator(32, 3, 1 / 32, 4, num_classes=2)
    variables = net.init(jax.random.PRNGKey(0), z, labels, train=False)
    images = net.apply(variables, z, labels, train=False)["image"]
    assert jnp.abs(images[0] - images[1]).max() > 0 and jnp.array_equal(images[1], images[2])
    for condition in ("projection", "concat"):
        judge = Discriminator(32, 1 / 32, 4, 2, condition)
        variables = judge.init(jax.random.PRNGKey(0), images, labels, train=False)
        same = jnp.broadcast_to(images[:1], images.shape)
        logits = judge.apply(variables, same, labels, train=False)["logits"]
        assert logits[0] != logits[1] and logits[1] == logits[2]


def test_pairs_with_latents():
    images, z = jnp.zeros((2, 32, 32, 3)), jnp.array([[0.0] * 5, [1.0] * 5])
    judge = Discriminator(32, 1 / 32, 4, latent_dim=5)
    logits = judge.apply(judge.init(jax.random.PRNGKey(0), images, None, z, train=False), images, None, z, train=False)
    assert logits["logits"][0] != logits["logits"][1]
    encoder = Encoder(5, 32, 1 / 32, 4)
    out = encoder.apply(encoder.init(jax.random.PRNGKey(0), images, train=False), images, train=False)
    assert out["z"].shape == (2, 5)


def test_an_edit_replaces_a_map_before_the_next_layer():
    net, z = Generator(32, 3, 1 / 32, 4), jnp.ones((2, 8))
    variables = net.init(jax.random.PRNGKey(0), z, train=False)
    whole = net.apply(variables, z, train=False)
    map_ = whole["layer1"]
    again = net.apply(variables, 0 * z, train=False, edit={"layer1": lambda _: map_})
    np.testing.assert_allclose(again["image"], whole["image"], atol=1e-6)
    ablated = net.apply(variables, z, train=False, edit={"layer1": lambda x: x.at[..., 0].set(0.0)})
    assert (ablated["layer1"][..., 0] == 0).all() and jnp.abs(ablated["image"] - whole["image"]).max() > 0


def test_another_size_is_refused():
    with pytest.raises(ValueError, match="size 48, kernel 5: choose size 32 or 64"):
        Generator(48).init(jax.random.PRNGKey(0), jnp.zeros((1, 8)), train=False)
    with pytest.raises(ValueError, match="size 32 got 64x64 images"):
        Discriminator(32).init(jax.random.PRNGKey(0), jnp.zeros((1, 64, 64, 3)), train=False)
