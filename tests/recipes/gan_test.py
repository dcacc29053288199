"""A GAN's shared settings give the networks, data and judge that their fields say."""

import dataclasses

import jax
import numpy as np

from jaxvision.data.inputs import Inputs
from jaxvision.recipes.gan import (
    GanNetwork,
    GanRules,
    GanSetup,
    JudgedGanConfig,
    draw_samples,
    full_size,
    smoke,
    with_judge,
)
from jaxvision.train.devices import first_batch

CONFIG = smoke(JudgedGanConfig(data="digits:count=32", batch_size=16, judge_steps=2))


def setup(*, conditional: bool = False) -> GanSetup:
    inputs = Inputs()
    return GanSetup(inputs.source(CONFIG.data), CONFIG, inputs, conditional)


def test_networks_have_the_sizes_of_their_settings():
    network = GanNetwork(size=64, width=0.5, kernel=5, latent_dim=7)
    assert (network.generator(10).num_classes, network.encoder().latent_dim) == (10, 7)
    discriminator = network.discriminator(latent_dim=network.latent_dim)
    assert (discriminator.size, discriminator.kernel, discriminator.latent_dim) == (64, 5, 7)
    assert discriminator.num_classes is None


def test_validation_images_have_a_latent_beside_them():
    val = first_batch(setup().val())
    assert val["image"].shape == (16, 32, 32, 3) and val["z"].shape == (16, CONFIG.network.latent_dim)
    assert "z" not in first_batch(setup().train())


def test_presets_change_the_networks_and_keep_the_data():
    config = dataclasses.replace(CONFIG, play=GanRules(smooth=0.1))
    paper = full_size(config, size=32)
    assert (paper.data, paper.judge_steps) == (CONFIG.data, 2)
    assert paper.network == GanNetwork(32, width=1.0, kernel=5) and paper.play == GanRules()
    assert smoke(config).play.smooth == 0.1


def test_the_judge_is_put_into_the_gan():
    parts = setup()
    stage, network = parts.judge(3), CONFIG.network
    assert (stage.name, stage.steps, [hook.name for hook in stage.hooks]) == ("judge", 3, ["judge"])
    task = parts.task(network.generator(), network.discriminator(), extract=parts.extractor())
    key, batch = jax.random.PRNGKey(0), first_batch(parts.val())
    state = jax.eval_shape(task.init, key, batch)
    judge = jax.eval_shape(stage.task.init, key, batch)
    same = jax.tree.map(lambda a, b: a.shape == b.shape, with_judge(state, {"judge": judge}).aux, state.aux)
    assert jax.tree.all(same)


def test_labels_are_measured_only_where_they_are_given():
    names = [hook.name for hook in setup().hooks()]
    assert names[0] == "val" and {"baseline", "samples", "interpolations"} <= set(names)
    assert len(setup(conditional=True).hooks()) == len(names)


def test_samples_are_drawn_beside_real_images():
    images = first_batch(setup().val())["image"]
    assert draw_samples({"samples": np.zeros_like(images)}, {"image": images}).dtype == np.uint8
