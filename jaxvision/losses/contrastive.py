"""Contrastive losses, in which a view of an image is to be told from views of other images: NT-Xent and InfoNCE.

Embeddings are normalised to length 1 here, and everything is computed in float32.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int


class Contrast(NamedTuple):
    """A contrastive loss and its accuracy."""

    loss: Float[Array, ""]  # nats
    accuracy: Float[Array, ""]  # share of views whose other view is the nearest; 0 where all are equally near


def nt_xent(
    first: Float[Array, "B D"], second: Float[Array, "B D"], temperature: float, axis_name: str | None = None
) -> Contrast:
    """Return the normalised temperature-scaled cross entropy of two views of B images (Chen et al. 2020, equation 1).

    Each of the 2N views of the N images on all devices is to pick its partner among the 2N - 1 others. The result is
    the mean over this device's 2B views, so the mean over devices is the paper's loss. Where that mean is what is
    differentiated (`train.steps.descend`), the gradient is that of one device with the whole batch.

    Args:
        first: embeddings of the first views.
        second: embeddings of the second views, in the same order.
        temperature: the paper's τ, by which cosines are divided.
        axis_name: the mapped axis over devices, or None for one device.

    Returns:
        The loss and the accuracy.

    Example:
        >>> views = jnp.eye(4)  # four images, both views of each alike
        >>> float(nt_xent(views, views, temperature=0.1).loss) < 0.001
        True
    """
    views = jnp.stack([unit(first), unit(second)])
    others = views if axis_name is None else lax.all_gather(views, axis_name, axis=1, tiled=True)
    batch, total = first.shape[0], others.shape[1]
    start = 0 if axis_name is None else lax.axis_index(axis_name) * batch
    position = (jnp.arange(2)[:, None] * total + start + jnp.arange(batch)[None, :]).reshape(-1)
    logits = _similarity(views.reshape(2 * batch, -1), others.reshape(2 * total, -1)) / temperature
    itself = jnp.arange(2 * total)[None, :] == position[:, None]
    return _contrast(jnp.where(itself, -jnp.inf, logits), (position + total) % (2 * total))


def info_nce(
    queries: Float[Array, "B D"], keys: Float[Array, "B D"], queue: Float[Array, "K D"], temperature: float
) -> Contrast:
    """Return the cross entropy of picking each query's key among that key and K others (He et al. 2020, equation 1).

    Args:
        queries: embeddings of one view, normalised here.
        keys: embeddings of the other view, normalised here; no gradient reaches them.
        queue: embeddings of other images, already of length 1; no gradient reaches them.
        temperature: the paper's τ, by which cosines are divided.

    Returns:
        The loss and the accuracy.

    Example:
        >>> views = jnp.eye(4)  # the queue holds none of them
        >>> float(info_nce(views, views, jnp.zeros((8, 4)), temperature=0.1).loss) < 0.001
        True
    """
    queries, keys, queue = unit(queries), lax.stop_gradient(unit(keys)), lax.stop_gradient(queue)
    positive = jnp.sum(queries * keys, axis=1, keepdims=True)
    logits = jnp.concatenate([positive, _similarity(queries, queue)], axis=1) / temperature
    return _contrast(logits, jnp.zeros(queries.shape[0], jnp.int32))


def unit(x: Float[Array, "*b D"]) -> Float[Array, "*b D"]:
    """Scale vectors to length 1 in float32; a vector of zeros stays zero and has no gradient."""
    x = x.astype(jnp.float32)
    squares = jnp.sum(jnp.square(x), axis=-1, keepdims=True)
    return x * lax.rsqrt(jnp.where(squares > 0, squares, 1.0)) * (squares > 0)


def _similarity(a: Float[Array, "M D"], b: Float[Array, "N D"]) -> Float[Array, "M N"]:
    return jnp.dot(a, b.T, precision=lax.Precision.HIGHEST)


def _contrast(logits: Float[Array, "M N"], labels: Int[Array, " M"]) -> Contrast:
    """Return cross entropy and accuracy. A tie is no right answer: a collapsed network would win all of them."""
    here = jnp.arange(logits.shape[1])[None, :] == labels[:, None]
    right = jnp.sum(jnp.where(here, logits, 0.0), axis=1)
    rest = jnp.where(here, -jnp.inf, logits)
    loss = jnp.mean(jax.nn.logsumexp(logits, axis=1) - right)
    return Contrast(loss, jnp.mean((right > rest.max(axis=1)).astype(jnp.float32)))
