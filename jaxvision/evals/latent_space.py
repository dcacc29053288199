"""Paths between latents, and sums of latents, which show what a generator has learned."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from jaxvision.data.latents import Prior


def between(
    start: Float[np.ndarray, "N Z"], end: Float[np.ndarray, "N Z"], count: int, prior: Prior
) -> Float[np.ndarray, "N S Z"]:
    """Return latents on the way from each start to its end, both included, for `viz.gan.interpolations`.

    Args:
        start: the first latent of each path.
        end: the last latent of each path.
        count: the number of latents on a path, at least 2.
        prior: under "uniform" paths are straight lines; normal latents lie near a sphere, which a line would leave, so
            under "normal" paths are arcs (White 2016, section 2.1).

    Returns:
        `count` latents for each path.

    Raises:
        ValueError: a count below 2.
    """
    if count < 2:
        raise ValueError(f"between: {count} latents from start to end; give at least 2")
    t = np.linspace(0.0, 1.0, count)
    a, b = _line(t) if prior == "uniform" else _arc(start, end, t)
    return (a[..., None] * start[:, None] + b[..., None] * end[:, None]).astype(start.dtype)


def arithmetic(
    examples: Sequence[Float[np.ndarray, "_ Z"]], signs: Sequence[int], *, seed: int = 0
) -> tuple[Float[np.ndarray, "T Z"], Float[np.ndarray, "9 Z"]]:
    """Add and subtract the mean latents of groups of examples (Radford et al. 2016, section 6.3.2).

    Args:
        examples: latents of each term's examples.
        signs: 1 or -1 for each term.
        seed: seed of the noise.

    Returns:
        The mean latent of each term, and nine results for `viz.gan.arithmetic`: the fifth is the sum of the means times
        their signs, and the others differ from it by noise from U(-0.25, 0.25).

    Raises:
        ValueError: another number of signs than of terms.
    """
    if len(examples) != len(signs):
        raise ValueError(f"arithmetic: {len(signs)} signs for {len(examples)} terms; give one for each")
    means = np.stack([each.mean(axis=0) for each in examples])
    total = (means * np.asarray(signs, means.dtype)[:, None]).sum(axis=0)
    noise = np.random.default_rng(seed).uniform(-0.25, 0.25, (9, len(total)))
    noise[4] = 0.0
    return means, (total[None] + noise).astype(means.dtype)


def _line(t: Float[np.ndarray, " S"]) -> Float[np.ndarray, "2 1 S"]:
    """Weights of start and end."""
    return np.stack([1.0 - t, t])[:, None]


def _arc(
    start: Float[np.ndarray, "N Z"], end: Float[np.ndarray, "N Z"], t: Float[np.ndarray, " S"]
) -> Float[np.ndarray, "2 N S"]:
    """Weights of start and end on the arc; those of the line where the two point the same way, or opposite ways."""
    a, b = (_direction(x.astype(np.float64)) for x in (start, end))
    angle = np.arccos(np.clip(np.sum(a * b, axis=1), -1.0, 1.0))[None, :, None]
    line, bent = _line(t), np.sin(angle) > 1e-6
    return np.where(bent, np.sin(line * angle) / np.where(bent, np.sin(angle), 1.0), line)


def _direction(x: Float[np.ndarray, "N Z"]) -> Float[np.ndarray, "N Z"]:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), np.finfo(np.float64).tiny)
