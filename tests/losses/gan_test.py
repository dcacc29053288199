"""The identities of adversarial losses, and their gradients where sigmoids saturate."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

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


def test_the_best_discriminator_measures_the_divergence():
    """At D* = p/(p + q), the minimum, the loss is log 4 − 2·JSD (Goodfellow et al. 2014, theorem 1)."""
    p, q, rows = np.array([5, 2, 1]), np.array([1, 3, 4]), 8
    mean = (p + q) / 2
    divergence = sum((d * np.log(d / mean)).sum() for d in (p, q)) / (2 * rows)

    def loss(best: jax.Array) -> jax.Array:
        real, fake = (jnp.repeat(best, d, total_repeat_length=rows) for d in (p, q))
        return discriminator_loss("minimax", real, fake)

    best = jnp.log(jnp.asarray(p / q, jnp.float32))
    value, slope = jax.jit(jax.value_and_grad(loss))(best)
    np.testing.assert_allclose(value, math.log(4) - 2 * divergence, rtol=1e-5)
    np.testing.assert_allclose(slope, 0, atol=1e-6)


def test_smoothing_is_one_sided_and_moves_the_best_logit():
    """With smoothing s the real rows' loss is least at D = 1 − s; the fake rows' gradient does not change."""
    real, fake = jnp.full(3, math.log(0.9 / 0.1)), jnp.array([-1.0, 0.0, 2.0])
    plain, smooth = (jax.grad(lambda r, f: discriminator_loss("non_saturating", r, f, s), (0, 1)) for s in (0.0, 0.1))  # noqa: B023
    np.testing.assert_allclose(smooth(real, fake)[0], 0, atol=1e-6)
    np.testing.assert_array_equal(smooth(real, fake)[1], plain(real, fake)[1])
    assert discriminator_loss("least_squares", jnp.full(3, 0.9), jnp.zeros(3), 0.1) < 1e-12


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_gradients_by_finite_differences(objective: str):
    """Away from hinges."""
    real, fake = jnp.array([0.3, -1.7, 2.0]), jnp.array([-0.4, 0.7, 1.5])
    both = jax.jit(lambda r, f: discriminator_loss(objective, *map(jnp.asarray, (r, f))))
    check_grads(both, (real, fake), 1, ["rev"], rtol=2e-2)
    check_grads(jax.jit(lambda f: generator_loss(objective, jnp.asarray(f))), (fake,), 1, ["rev"], rtol=2e-2)


def test_an_unknown_objective_is_refused():
    wrong = "minmax"
    # Annotations are checked at run time under test: `__wrapped__` is what a user calls.
    for loss, rows in ((discriminator_loss, 2), (generator_loss, 1)):
        with pytest.raises(ValueError, match="objective 'minmax': choose of minimax, non_saturating"):
            unchecked(loss)(wrong, *[jnp.zeros(2)] * rows)


def unchecked(function):
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


def test_the_minimax_gradient_vanishes_where_the_other_does_not():
    """At D(G(z)) = sigmoid(−8): the derivatives are −D and D − 1."""
    sure = jnp.array([-8.0])
    slope = {name: float(jax.jit(jax.grad(lambda x: generator_loss(name, x)))(sure)[0]) for name in OBJECTIVES}  # noqa: B023
    d = 1 / (1 + math.exp(8))
    np.testing.assert_allclose([slope["minimax"], slope["non_saturating"]], [-d, d - 1], rtol=1e-4)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_extreme_logits_are_finite(objective: str):
    extreme = jnp.array([-1e4, 0.0, 1e4])
    both = lambda r, f: discriminator_loss(objective, r, f) + generator_loss(objective, f)  # noqa: E731
    value, slopes = jax.jit(jax.value_and_grad(both, argnums=(0, 1)))(extreme, extreme)
    assert jnp.isfinite(value) and all(jnp.isfinite(s).all() for s in slopes)


def test_the_penalty_of_a_linear_critic_is_known():
    weights = jnp.array([[3.0, 0.0], [0.0, 4.0]])
    critic = lambda x: jnp.sum(x * weights[None], axis=(1, 2))  # noqa: E731
    real, fake = jnp.ones((4, 2, 2)), jnp.zeros((4, 2, 2))
    np.testing.assert_allclose(gradient_penalty(critic, real, fake, jax.random.PRNGKey(0)), 16.0, rtol=1e-6)
    flat = lambda w: gradient_penalty(lambda x: w * jnp.sum(x, axis=(1, 2)), real, fake, jax.random.PRNGKey(0))  # noqa: E731
    assert jnp.isfinite(jax.jit(jax.grad(flat))(0.0)) and flat(0.0) == 1.0


def test_the_penalty_is_taken_between_the_rows_of_a_pair():
    """‖∇ x²/2‖ = ‖x‖: rows at 1 and 3 in one pixel give (a − 1)² with a uniform in between, each row its own."""
    real, fake, key = jnp.ones((500, 1, 1)), jnp.full((500, 1, 1), 3.0), jax.random.PRNGKey(0)
    critic = lambda x: jnp.sum(jnp.square(x), axis=(1, 2)) / 2  # noqa: E731
    np.testing.assert_allclose(gradient_penalty(critic, real, fake, key), 4 / 3, rtol=0.1)
    penalty = jax.jit(lambda key: gradient_penalty(critic, real[:1], fake[:1], key))
    each = [penalty(k) for k in jax.random.split(key, 3)]
    assert len(set(map(float, each))) == 3 and all(0 <= e <= 4 for e in each)


def test_the_penalty_has_gradients_by_finite_differences():
    weights = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4)), jnp.float32)
    real, fake = (jnp.asarray(np.random.default_rng(s).normal(size=(5, 3)), jnp.float32) for s in (1, 2))
    penalty = lambda w: gradient_penalty(lambda x: jnp.tanh(x @ w).sum(axis=1), real, fake, jax.random.PRNGKey(0))  # noqa: E731
    check_grads(jax.jit(penalty), (weights,), 1, ["rev"], rtol=2e-2)
