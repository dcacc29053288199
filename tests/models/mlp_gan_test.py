"""Fully connected players."""

import jax
import jax.numpy as jnp
import pytest

from jaxvision.models.mlp_gan import MLPDiscriminator, MLPGenerator


def test_points_and_scores():
    z = jax.random.normal(jax.random.PRNGKey(0), (4, 16))
    generator, judge = MLPGenerator(hidden=8), MLPDiscriminator(hidden=8)
    points = generator.apply(generator.init(jax.random.PRNGKey(0), z, train=True), z, train=True)["image"]
    seen = judge.apply(judge.init(jax.random.PRNGKey(1), points, train=True), points, train=True)
    assert points.shape == (4, 2) and seen["logits"].shape == (4,) and seen["features"].shape == (4, 8)
    assert jnp.isfinite(points).all()


def test_labels_and_latents_are_seen():
    z, labels = jnp.ones((3, 4)), jnp.array([0, 1, 1])
    generator, judge = MLPGenerator(8, num_classes=2), MLPDiscriminator(8, num_classes=2)
    points = generator.apply(generator.init(jax.random.PRNGKey(0), z, labels, train=True), z, labels, train=True)
    assert (points["image"][0] != points["image"][1]).any() and (points["image"][1] == points["image"][2]).all()
    inputs = jnp.zeros((3, 2)), labels, z * jnp.arange(3.0)[:, None]
    logits = judge.apply(judge.init(jax.random.PRNGKey(1), *inputs, train=True), *inputs, train=True)["logits"]
    assert len(set(map(float, logits))) == 3


def test_a_label_and_classes_go_together():
    with pytest.raises(ValueError, match="num_classes=3 got no label"):
        MLPGenerator(num_classes=3).init(jax.random.PRNGKey(0), jnp.ones((2, 4)), train=True)
    with pytest.raises(ValueError, match="num_classes=None got a label"):
        MLPDiscriminator().init(jax.random.PRNGKey(0), jnp.ones((2, 2)), jnp.array([0, 1]), train=True)
