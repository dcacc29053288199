"""Fully connected players."""

import jax
import jax.numpy as jnp

from jaxvision.models.mlp_gan import MLPDiscriminator, MLPGenerator


def test_points_and_scores():
    z = jax.random.normal(jax.random.PRNGKey(0), (4, 16))
    generator, judge = MLPGenerator(hidden=8), MLPDiscriminator(hidden=8)
    points = generator.apply(generator.init(jax.random.PRNGKey(0), z, train=True), z, train=True)["image"]
    seen = judge.apply(judge.init(jax.random.PRNGKey(1), points, train=True), points, train=True)
    assert points.shape == (4, 2) and seen["logits"].shape == (4,) and seen["features"].shape == (4, 8)
    assert jnp.isfinite(points).all()
