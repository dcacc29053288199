"""The identities of adversarial losses, and their gradients where sigmoids saturate."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.losses.gan import discriminator_loss, generator_loss, gradient_penalty

OBJECTIVES = ("minimax", "non_saturating", "least_squares", "hinge", "wasserstein")


def test_where_the_discriminator_cannot_tell():
    """D = 1/2: the value of the game is −log 4, and each side's term log 2."""
    zeros = jnp.zeros(5)
    np.testing.assert_allclose(discriminator_loss("minimax", zeros, zeros), math.log(4), rtol=1e-6)
    np.testing.assert_allclose(generator_loss("non_saturating", zeros), math.log(2), rtol=1e-6)
    np.testing.assert_allclose(generator_loss("minimax", zeros), -math.log(2), rtol=1e-6)
    assert discriminator_loss("wasserstein", zeros, zeros) == 0 and discriminator_loss("hinge", zeros, zeros) == 2


def test_losses_are_the_formulas_of_probabilities():
    real, fake = jnp.array([0.3, -1.2, 2.0]), jnp.array([-0.4, 0.7, 1.5])
    d_real, d_fake = jax.nn.sigmoid(real), jax.nn.sigmoid(fake)
    wanted = -jnp.mean(jnp.log(d_real)) - jnp.mean(jnp.log(1 - d_fake))
    np.testing.assert_allclose(discriminator_loss("non_saturating", real, fake), wanted, rtol=1e-5)
    smoothed = -jnp.mean(0.9 * jnp.log(d_real) + 0.1 * jnp.log(1 - d_real)) - jnp.mean(jnp.log(1 - d_fake))
    np.testing.assert_allclose(discriminator_loss("minimax", real, fake, 0.1), smoothed, rtol=1e-5)
    np.testing.assert_allclose(generator_loss("minimax", fake), jnp.mean(jnp.log(1 - d_fake)), rtol=1e-5)
    np.testing.assert_allclose(generator_loss("least_squares", fake), jnp.mean((fake - 1) ** 2) / 2, rtol=1e-5)
    np.testing.assert_allclose(
        discriminator_loss("hinge", real, fake), jnp.mean(jnp.maximum(1 - real, 0)) + jnp.mean(jnp.maximum(1 + fake, 0))
    )


def test_the_minimax_gradient_vanishes_where_the_other_does_not():
    """At D(G(z)) = sigmoid(−8): the derivatives are −D and D − 1."""
    sure = jnp.array([-8.0])
    slope = {name: float(jax.grad(lambda x: generator_loss(name, x))(sure)[0]) for name in OBJECTIVES}  # noqa: B023
    d = 1 / (1 + math.exp(8))
    np.testing.assert_allclose([slope["minimax"], slope["non_saturating"]], [-d, d - 1], rtol=1e-4)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_extreme_logits_are_finite(objective: str):
    extreme = jnp.array([-1e4, 0.0, 1e4])
    both = lambda r, f: discriminator_loss(objective, r, f) + generator_loss(objective, f)  # noqa: E731
    value, slopes = jax.value_and_grad(both, argnums=(0, 1))(extreme, extreme)
    assert jnp.isfinite(value) and all(jnp.isfinite(s).all() for s in slopes)


def test_the_penalty_of_a_linear_critic_is_known():
    weights = jnp.array([[3.0, 0.0], [0.0, 4.0]])
    critic = lambda x: jnp.sum(x * weights[None], axis=(1, 2))  # noqa: E731
    real, fake = jnp.ones((4, 2, 2)), jnp.zeros((4, 2, 2))
    np.testing.assert_allclose(gradient_penalty(critic, real, fake, jax.random.PRNGKey(0)), 16.0, rtol=1e-6)
    flat = lambda w: gradient_penalty(lambda x: w * jnp.sum(x, axis=(1, 2)), real, fake, jax.random.PRNGKey(0))  # noqa: E731
    assert jnp.isfinite(jax.grad(flat)(0.0)) and flat(0.0) == 1.0
