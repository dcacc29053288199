"""Losses that tell the other view of an image from other images: NT-Xent and InfoNCE.

Embeddings are normalised to length 1 here, and everything is computed in float32 from logits.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int


class Contrast(NamedTuple):
    """How well the other view is told from the rest."""

    loss: Float[Array, ""]  # nats
    accuracy: Float[Array, ""]  # share whose other view is nearer than everything else; 0 where all is the same


def nt_xent(
    first: Float[Array, "B D"], second: Float[Array, "B D"], temperature: float, axis_name: str | None = None
) -> Contrast:
    """Normalised temperature-scaled cross entropy of two views of B images (Chen et al. 2020, equation 1).

    Each of the 2N views of the N images on all devices of `axis_name` picks its partner among the 2N − 1 others; this
    is the mean over the 2B of this device, so the mean over the devices is the paper's. Where that mean is what is
    differentiated (`train.steps.descend`), the gradient is that of one device with the whole batch.

    Example:
        >>> views = jnp.eye(4)  # four images, both views of each alike
        >>> float(nt_xent(views, views, temperature=0.1).loss) < 0.001
        True
    """
    views = jnp.stack([unit(first), unit(second)])
    others = views if axis_name is None else lax.all_gather(views, axis_name, axis=1, tiled=True)
    batch, total = first.shape[0], others.shape[1]
    start = 0 if axis_name is None else lax.axis_index(axis_name) * batch
    own = (jnp.arange(2)[:, None] * total + start + jnp.arange(batch)[None, :]).reshape(-1)
    logits = _similarity(views.reshape(2 * batch, -1), others.reshape(2 * total, -1)) / temperature
    itself = jnp.arange(2 * total)[None, :] == own[:, None]
    return _contrast(jnp.where(itself, -jnp.inf, logits), (own + total) % (2 * total))


def info_nce(
    queries: Float[Array, "B D"], keys: Float[Array, "B D"], queue: Float[Array, "K D"], temperature: float
) -> Contrast:
    """Each query picks its key among that key and K others (He et al. 2020, equation 1). No gradient reaches keys.

    `queue` holds vectors of length 1.

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
    """Vectors of length 1 in float32; a vector of zeros stays one, and has no gradient."""
    x = x.astype(jnp.float32)
    squares = jnp.sum(jnp.square(x), axis=-1, keepdims=True)
    return x * lax.rsqrt(jnp.where(squares > 0, squares, 1.0)) * (squares > 0)


def _similarity(a: Float[Array, "M D"], b: Float[Array, "N D"]) -> Float[Array, "M N"]:
    return jnp.dot(a, b.T, precision=lax.Precision.HIGHEST)


def _contrast(logits: Float[Array, "M N"], labels: Int[Array, " M"]) -> Contrast:
    """Softmax cross entropy. A tie is no right answer: a collapsed network would win all of them."""
    here = jnp.arange(logits.shape[1])[None, :] == labels[:, None]
    right = jnp.sum(jnp.where(here, logits, 0.0), axis=1)
    rest = jnp.where(here, -jnp.inf, logits)
    loss = jnp.mean(jax.nn.logsumexp(logits, axis=1) - right)
    return Contrast(loss, jnp.mean((right > rest.max(axis=1)).astype(jnp.float32)))
