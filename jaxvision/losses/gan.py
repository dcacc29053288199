"""Losses of generative adversarial networks, computed from logits, so that no probability is rounded to 0 or 1."""

from collections.abc import Callable
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Objective = Literal["minimax", "non_saturating", "least_squares", "hinge", "wasserstein"]
"""Goodfellow et al. 2014, equation 1; the same with the generator's other loss; Mao et al. 2017; Lim & Ye 2017;
Arjovsky et al. 2017."""

Critic = Callable[[Float[Array, "B ..."]], Float[Array, " B"]]


def discriminator_loss(
    objective: Objective, real: Float[Array, " B"], fake: Float[Array, " B"], smooth: float = 0.0
) -> Float[Array, ""]:
    """Return what the discriminator minimises.

    At its optimum the minimax loss is log 4 - 2·JSD of the two distributions (Goodfellow et al. 2014, theorem 1).

    Args:
        objective: which paper's loss.
        real: the discriminator's logits of real rows.
        fake: its logits of generated rows.
        smooth: how much is taken off the target of real rows, 1, where the objective has targets (one-sided label
            smoothing, Salimans et al. 2016, section 3.4).

    Returns:
        A scalar.

    Raises:
        ValueError: there is no such objective.

    Example:
        >>> float(discriminator_loss("non_saturating", jnp.full(2, 20.0), jnp.full(2, -20.0))) < 0.001
        True
    """
    real, fake = real.astype(jnp.float32), fake.astype(jnp.float32)
    if objective == "least_squares":
        return 0.5 * jnp.mean(jnp.square(real - (1.0 - smooth))) + 0.5 * jnp.mean(jnp.square(fake))
    if objective == "hinge":
        return jnp.mean(jax.nn.relu(1.0 - real)) + jnp.mean(jax.nn.relu(1.0 + fake))
    if objective == "wasserstein":
        return jnp.mean(fake) - jnp.mean(real)
    if objective in ("minimax", "non_saturating"):
        return jnp.mean(jax.nn.softplus(-real) + smooth * real) + jnp.mean(jax.nn.softplus(fake))
    raise ValueError(f"objective {objective!r}: choose of {', '.join(get_args(Objective))}")


def generator_loss(objective: Objective, fake: Float[Array, " B"]) -> Float[Array, ""]:
    """Return what the generator minimises, from the discriminator's logits of generated rows.

    "minimax" is log(1 - D), whose gradient vanishes where D is sure; "non_saturating" is -log D, whose gradient does
    not (Goodfellow et al. 2014, section 3). ValueError: there is no such objective.

    Example:
        >>> float(generator_loss("non_saturating", jnp.full(2, 20.0))) < 0.001  # the discriminator is fooled
        True
    """
    fake = fake.astype(jnp.float32)
    if objective == "minimax":
        return -jnp.mean(jax.nn.softplus(fake))
    if objective == "non_saturating":
        return jnp.mean(jax.nn.softplus(-fake))
    if objective == "least_squares":
        return 0.5 * jnp.mean(jnp.square(fake - 1.0))
    if objective in ("hinge", "wasserstein"):
        return -jnp.mean(fake)
    raise ValueError(f"objective {objective!r}: choose of {', '.join(get_args(Objective))}")


def gradient_penalty(
    critic: Critic, real: Float[Array, "B ..."], fake: Float[Array, "B ..."], key: Array
) -> Float[Array, ""]:
    """Return mean (‖∇ critic‖ - 1)² at random points between real and fake rows (Gulrajani et al. 2017, eq. 3).

    Args:
        critic: the function from rows to a score each. Rows must not see each other, so it has no batch norm.
        real: real rows.
        fake: generated rows, as many.
        key: what the points are drawn from.

    Returns:
        A scalar, without the paper's factor λ.

    Example:
        >>> points = jnp.ones((4, 3))
        >>> slope_two = lambda x: 2 * x[:, 0]
        >>> float(gradient_penalty(slope_two, points, points, jax.random.key(0)))
        1.0
    """
    at = jax.random.uniform(key, (real.shape[0], *[1] * (real.ndim - 1)))
    between = real + at * (fake - real)
    slopes = jax.grad(lambda rows: jnp.sum(critic(rows)))(between)
    squares = jnp.sum(jnp.square(slopes.astype(jnp.float32)), axis=tuple(range(1, real.ndim)))
    norms = jnp.sqrt(jnp.where(squares > 0, squares, 1.0)) * (squares > 0)  # a root of 0 has no gradient
    return jnp.mean(jnp.square(norms - 1.0))
