"""Lengths, learning rates and networks of presets that are named after a recipe, from the numbers of its paper."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.classification import googlenet, resnet
from jaxvision.train.optim import learning_rate

IMAGES = 1_281_167  # of ImageNet's training set


def rates(config: resnet.Config | googlenet.Config, steps: list[int]) -> list[float]:
    rate = learning_rate(config.optimizer.at(config.batch_size), config.steps)
    return [float(rate(step)) for step in steps]


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
def test_cifars_resnets_are_those_of_section_4_2(depth: int, millions: float):
    config = resnet.PRESETS[f"cifar{depth}"]
    model = resnet.network(config, 10)
    params = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)), train=False))["params"]
    assert sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(params)) / 1e6 == pytest.approx(millions, abs=0.05)
    assert not any("shortcut" in block for block in params.values())  # option A has no parameters
    assert (config.steps, config.batch_size, config.val_split, config.augment.flip) == (64_000, 128, "test", True)
    optimizer = config.optimizer
    assert (optimizer.weight_decay, optimizer.momentum, optimizer.decay_norms) == (1e-4, 0.9, True)
    first = 0.01 if depth == 110 else 0.1
    steps = [0, 399, 400, 31_999, 32_000, 47_999, 48_000]
    np.testing.assert_allclose(rates(config, steps), [first, first, 0.1, 0.1, 0.01, 0.01, 0.001], rtol=1e-5)


def test_torchvisions_first_recipe_cuts_the_rate_every_thirty_epochs():
    config = resnet.PRESETS["torchvision"]
    assert config.steps * config.batch_size / IMAGES == pytest.approx(90, abs=0.01)
    before, after = (int(30 * IMAGES / 256) + shift for shift in (-2, 2))
    np.testing.assert_allclose(rates(config, [0, before, after, config.steps - 1]), [0.1, 0.1, 0.01, 0.001], rtol=1e-5)
    assert resnet.network(config, 1000).version == "v1.5" and config.pixels == resnet.Config().pixels


def test_flaxs_recipe_scales_the_rate_with_the_batch_and_warms_up_for_five_epochs():
    config = resnet.PRESETS["flax"]
    warm = round(5 * IMAGES / 256)
    np.testing.assert_allclose(rates(config, [0, warm, config.steps - 1]), [0.1 / warm, 0.1, 0.0], atol=1e-6)
    larger = dataclasses.replace(config, batch_size=1024)
    np.testing.assert_allclose(rates(larger, [warm]), [0.4], rtol=1e-5)
    assert config.optimizer.nesterov and not config.optimizer.decay_norms and resnet.network(config, 1000).zero_init


def test_googlenets_rate_falls_by_four_percent_every_eight_epochs():
    config = googlenet.PRESETS["paper"]
    steps = [round(8 * n * IMAGES / config.batch_size) + 10 for n in range(5)]
    np.testing.assert_allclose(rates(config, steps), 0.01 * 0.96 ** np.arange(5), rtol=1e-5)
    assert config.test.views == "144_crop" and config.average_decay > 0
