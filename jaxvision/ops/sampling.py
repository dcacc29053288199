"""Random minibatches of anchors or proposals with a fixed number of slots (Girshick 2015, section 2.3)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from jaxvision.ops.matching import NEGATIVE, POSITIVE


class Sample(NamedTuple):
    """K slots that point into N boxes: positives first, then negatives, then unused slots."""

    index: Int[Array, "K"]  # 0 in unused slots
    used: Bool[Array, "K"]
    positive: Bool[Array, "K"]


def sample(key: PRNGKeyArray, label: Int[Array, "N"], *, count: int, max_positives: int) -> Sample:
    """Draw up to `max_positives` positives and fill the other slots of `count` with negatives.

    Both are drawn uniformly without replacement from the labels of `matching`; ignored boxes never are. Where negatives
    run out, slots stay unused. Batches: `jax.vmap` over keys and labels.

    Raises:
        ValueError: `max_positives` exceeds `count`.
    """
    if max_positives > count:
        raise ValueError(f"sampling: max_positives is {max_positives}, more than the count of {count}; lower it")
    priority = jax.random.uniform(key, (2, *label.shape))
    positives, is_positive = _draw(priority, label == POSITIVE, max_positives)
    negatives, is_negative = _draw(priority, label == NEGATIVE, count)
    found, slot = is_positive.sum(), jnp.arange(count)
    positive = slot < found
    after = jnp.maximum(slot - found, 0)
    used = positive | is_negative.at[after].get(mode="fill", fill_value=False)
    index = jnp.where(
        positive,
        positives.at[slot].get(mode="fill", fill_value=0),
        negatives.at[after].get(mode="fill", fill_value=0),
    )
    return Sample(jnp.where(used, index, 0), used, positive)


def _draw(
    priority: Float[Array, "2 N"], candidate: Bool[Array, "N"], count: int
) -> tuple[Int[Array, "K"], Bool[Array, "K"]]:
    """Up to `count` random boxes, candidates first, and which of them are candidates."""
    picks = min(count, candidate.shape[0])
    if picks == 0:
        return jnp.zeros(0, jnp.int32), jnp.zeros(0, bool)
    first, second = jnp.where(candidate[None], priority, -1.0)
    # `top_k` prefers low indices among equal priorities, and of 10^5 draws of 23 bits some are equal. The second draw
    # settles who is in at the border, which keeps the choice uniform; a full sort would take 100 times as long.
    border = jax.lax.top_k(first, picks)[0][-1]
    _, index = jax.lax.top_k(jnp.where(first > border, 1.0, jnp.where(first == border, second, -1.0)), picks)
    return index, candidate[index]
