"""Targets, mixup, cross entropy."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.losses.classification import cross_entropy, mixup, soft_targets


def test_soft_targets():
    np.testing.assert_allclose(soft_targets(jnp.array([1]), 4), [[0, 1, 0, 0]])
    np.testing.assert_allclose(soft_targets(jnp.array([1]), 4, 0.2), [[0.05, 0.85, 0.05, 0.05]], rtol=1e-6)


def test_cross_entropy_of_equal_logits_is_the_log_of_the_classes():
    np.testing.assert_allclose(
        cross_entropy(jnp.zeros((3, 10)), soft_targets(jnp.arange(3), 10)), np.log(10), rtol=1e-6
    )
    assert cross_entropy(jnp.zeros((1, 2), jnp.bfloat16), jnp.ones((1, 2)) / 2).dtype == jnp.float32


def test_mixup_blends_images_and_targets_alike():
    images = jnp.arange(4.0).reshape(4, 1, 1, 1) * jnp.ones((4, 2, 2, 3))
    mixed, targets = mixup(jax.random.PRNGKey(1), images, jnp.eye(4), 1.0)
    np.testing.assert_allclose(targets.sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(mixed[:, 0, 0, 0], targets @ jnp.arange(4.0), rtol=1e-5)
    assert float(targets.max()) < 1
