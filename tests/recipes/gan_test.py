"""A GAN's shared settings give the networks and the data that their fields say."""

import dataclasses

import jax
import numpy as np

from jaxvision.data.inputs import Inputs
from jaxvision.models.dcgan import Rules
from jaxvision.recipes.gan import (
    GanConfig,
    GanNetwork,
    GanRules,
    GanSetup,
    draw_samples,
    full_size,
    smoke,
)
from jaxvision.train.devices import first_batch

CONFIG = smoke(GanConfig(data="digits:count=32", batch_size=16))


def setup() -> GanSetup:
    inputs = Inputs()
    return GanSetup(inputs.source(CONFIG.data), CONFIG, inputs)


def test_networks_have_the_sizes_of_their_settings():
    network = GanNetwork(size=64, width=0.5, kernel=5, latent_dim=7)
    assert (network.generator(10).num_classes, network.encoder().latent_dim) == (10, 7)
    discriminator = network.discriminator(latent_dim=network.latent_dim)
    assert (discriminator.size, discriminator.kernel, discriminator.latent_dim) == (64, 5, 7)
    assert discriminator.num_classes is None


def test_networks_follow_the_rules_and_a_penalty_reaches_the_game():
    rules = Rules("generator", pooling=True)
    network = GanNetwork(rules=rules)
    assert network.generator().rules == network.discriminator().rules == network.encoder().rules == rules
    config = dataclasses.replace(CONFIG, play=GanRules("wasserstein", penalty=10.0))
    made = GanSetup(setup().source, config, Inputs()).task(network.generator(), network.discriminator())
    batch = {"image": np.zeros((2, 32, 32, 3), np.uint8)}
    state = jax.eval_shape(made.init, jax.random.PRNGKey(0), batch)
    assert "penalty" in jax.eval_shape(made.step, state, batch)[1]


def test_validation_images_have_a_latent_beside_them():
    val = first_batch(setup().val())
    assert val["image"].shape == (16, 32, 32, 3) and val["z"].shape == (16, CONFIG.network.latent_dim)
    assert "z" not in first_batch(setup().train())


def test_presets_change_the_networks_and_keep_the_data():
    config = dataclasses.replace(CONFIG, play=GanRules(smooth=0.1))
    paper = full_size(config, size=32)
    assert (paper.data, paper.batch_size) == (CONFIG.data, 128)
    assert paper.network == GanNetwork(32, width=1.0, kernel=5) and paper.play == GanRules()
    assert smoke(config).play.smooth == 0.1


def test_samples_are_drawn_beside_real_images():
    images = first_batch(setup().val())["image"]
    assert draw_samples({"samples": np.zeros_like(images)}, {"image": images}).dtype == np.uint8
