"""Colourisation as classification (Zhang, Isola & Efros 2016): distributions over colour bins, rare ones weighted up.

Colours are (a, b) of CIE Lab. Bins are the Q grid points of `ops.lab.color_bins`.
"""

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float

_NEIGHBOURS = 5
_SIGMA = 5.0  # of distances in ab


def soft_encode(colors: Float[Array, "*b 2"], bins: Float[Array, "Q 2"]) -> Float[Array, "*b Q"]:
    """Return weights of each colour's 5 nearest bins, Gaussian in distance with σ = 5, with sum 1 (section 2.2).

    Of bins as far away as the fifth, those that come first in `bins` count.
    """
    distances = _squared_distances(colors, bins)
    values, nearest = lax.top_k(-distances, min(_NEIGHBOURS, len(bins)))
    weights = jax.nn.softmax(values / (2 * _SIGMA**2), axis=-1)
    hot = jax.nn.one_hot(nearest, len(bins), dtype=weights.dtype)
    return jnp.einsum("...n,...nq->...q", weights, hot, precision=lax.Precision.HIGHEST)


def rebalancing(frequencies: Float[Array, " Q"], bins: Float[Array, "Q 2"], mix: float = 0.5) -> Float[Array, " Q"]:
    """Return weights that are larger for rarer bins: ((1 - λ)·p + λ/Q)⁻¹, with mean 1 over p (equation 4).

    Args:
        frequencies: how often each bin's colours occur, in any unit. They are smoothed with a Gaussian of σ = 5 first,
            so that neighbours of common colours are not rare.
        bins: the colours of the bins.
        mix: λ, the share of the uniform distribution; 1 weighs all bins alike.

    Returns:
        The weight of each bin.
    """
    kernel = jax.nn.softmax(-_squared_distances(bins, bins) / (2 * _SIGMA**2), axis=0)
    smooth = jnp.dot(kernel, frequencies / jnp.sum(frequencies), precision=lax.Precision.HIGHEST)
    weights = 1.0 / ((1.0 - mix) * smooth + mix / len(bins))
    return weights / jnp.sum(smooth * weights)


def color_loss(
    logits: Float[Array, "*b Q"], targets: Float[Array, "*b Q"], weights: Float[Array, " Q"]
) -> Float[Array, ""]:
    """Return the mean cross entropy in nats, each pixel weighted by its target's most probable bin (equation 2).

    Args:
        logits: the network's scores of the bins at each pixel.
        targets: the distribution over bins at each pixel, of `soft_encode`.
        weights: the weight of each bin, of `rebalancing`.

    Returns:
        A scalar.

    Example:
        >>> round(float(color_loss(jnp.zeros((5, 2)), jnp.full((5, 2), 0.5), jnp.ones(2))), 4)  # log 2
        0.6931
    """
    entropy = optax.softmax_cross_entropy(logits.astype(jnp.float32), targets)
    return jnp.mean(weights[jnp.argmax(targets, axis=-1)] * entropy)


def annealed_mean(
    logits: Float[Array, "*b Q"], bins: Float[Array, "Q 2"], temperature: float = 0.38
) -> Float[Array, "*b 2"]:
    """Return one colour for each distribution: the mean of the distribution sharpened by a temperature (equation 5).

    Args:
        logits: the network's scores of the bins at each pixel.
        bins: the colours of the bins.
        temperature: T; 1 gives the mean, which is dull, and T → 0 the mode, which is spotted (section 2.3).

    Returns:
        The colour (a, b) at each pixel.
    """
    sharp = jax.nn.softmax(logits.astype(jnp.float32) / temperature, axis=-1)
    return jnp.dot(sharp, bins, precision=lax.Precision.HIGHEST)


def _squared_distances(colors: Float[Array, "*b 2"], bins: Float[Array, "Q 2"]) -> Float[Array, "*b Q"]:
    # Term by term: the difference of every colour and bin at once would be as large again.
    a, b = (colors[..., i, None] - bins[:, i].reshape((1,) * (colors.ndim - 1) + (-1,)) for i in (0, 1))
    return a**2 + b**2
