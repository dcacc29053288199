"""The networks of PyTorch-StudioGAN's DCGAN: parameters by hand, maps, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.studio_gan import StudioDiscriminator, StudioGenerator

KEY = jax.random.PRNGKey(0)


def outputs(net, *inputs):
    return jax.eval_shape(lambda: net.init_with_output(KEY, *inputs, train=True))


def count(variables) -> int:
    return sum(int(np.prod(p.shape)) for p in jax.tree.leaves(variables["params"]))


def test_parameters_by_hand():
    made, generator = outputs(StudioGenerator(), jnp.zeros((2, 128)))
    hidden = 16 * (512 * 256 + 256 * 128 + 128 * 64) + (256 + 128 + 64)  # kernels of 4×4 with biases
    assert count(generator) == 128 * 8192 + 8192 + hidden + 2 * (256 + 128 + 64) + 9 * 64 * 3 + 3
    assert made["image"].shape == (2, 32, 32, 3) and made["layer1"].shape == (2, 8, 8, 256)
    judged, discriminator = outputs(StudioDiscriminator(), jnp.zeros((2, 32, 32, 3)))
    sizes = [(3, 64), (64, 128), (128, 256)]
    convolutions = sum(9 * a * b + b + 16 * b * b + b + 4 * b for a, b in sizes)
    assert count(discriminator) == convolutions + 9 * 256 * 512 + 512 + 2 * 512 + 512 + 1
    assert judged["logits"].shape == (2,) and judged["features"].shape == (2, 512)


def test_an_edit_is_what_the_next_layer_sees_and_another_name_is_refused():
    net, z = StudioGenerator(width=1 / 64), jnp.ones((1, 4))
    variables = net.init(KEY, z, train=False)
    blank = net.apply(variables, z, train=False, edit={"layer3": jnp.zeros_like})
    np.testing.assert_allclose(blank["image"], np.zeros((1, 32, 32, 3)), atol=1e-6)  # biases begin at 0
    with pytest.raises(ValueError, match="edit names layer9: choose of project"):
        net.apply(variables, z, train=False, edit={"layer9": jnp.zeros_like})


def test_images_of_another_size_and_pairs_are_refused():
    net = StudioDiscriminator(width=1 / 64)
    with pytest.raises(ValueError, match="got 16x16 images: give 32x32"):
        outputs(net, jnp.zeros((1, 16, 16, 3)))
    with pytest.raises(ValueError, match="not pairs with a latent"):
        outputs(net, jnp.zeros((1, 32, 32, 3)), None, jnp.zeros((1, 4)))
