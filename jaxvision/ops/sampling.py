"""Random minibatches of anchors or proposals with a fixed number of slots (Girshick 2015, section 2.3)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from jaxvision.ops.dispatch import dispatch
from jaxvision.ops.matching import NEGATIVE, POSITIVE
from jaxvision.ops.selection import first_true, kth_largest, largest, ordered


class Sample(NamedTuple):
    """K slots that point into N boxes: positives first, then negatives, then unused slots."""

    indices: Int[Array, "K"]  # 0 in unused slots
    used: Bool[Array, "K"]  # which slots hold a box
    positive: Bool[Array, "K"]  # which of these are positives


def sample(key: PRNGKeyArray, label: Int[Array, "N"], *, count: int, max_positives: int) -> Sample:
    """Draw positives and negatives, each uniformly without replacement; ignored boxes never are.

    Where negatives run out, slots stay unused. Batches: `jax.vmap` over keys and labels.

    Args:
        key: what the boxes are drawn from.
        label: of each box, as `matching.match` gives it.
        count: K, the number of slots.
        max_positives: how many of these positives may take; negatives fill all others.

    Returns:
        The slots.

    Raises:
        ValueError: `max_positives` exceeds `count`.

    Example:
        >>> label = jnp.array([1, 0, 0, -1, 1])  # positive, negative, negative, ignored, positive
        >>> drawn = sample(jax.random.key(0), label, count=4, max_positives=1)
        >>> drawn.indices.shape, int(drawn.positive.sum()), int(drawn.used.sum())
        ((4,), 1, 3)
    """
    if max_positives > count:
        raise ValueError(f"sampling: max_positives is {max_positives}, more than the count of {count}; lower it")
    priority = jax.random.uniform(key, (2, *label.shape))

    def choose(candidate: Bool[Array, " N"], most: Int[Array, ""]) -> tuple[Int[Array, " K"], Bool[Array, " K"]]:
        return dispatch(priority, candidate, most, cpu="sampling.draw", default=draw, slots=count)

    positives, is_positive = choose(label == POSITIVE, jnp.int32(max_positives))
    positive_count, slot = is_positive.sum(), jnp.arange(count)
    negatives, is_negative = choose(label == NEGATIVE, count - positive_count)
    after = jnp.maximum(slot - positive_count, 0)
    used = is_positive | is_negative[after]
    indices = jnp.where(is_positive, positives, negatives[after])
    return Sample(jnp.where(used, indices, 0), used, is_positive)


def draw(
    priority: Float[Array, "2 N"], candidate: Bool[Array, " N"], most: Int[Array, ""], slots: int
) -> tuple[Int[Array, " K"], Bool[Array, " K"]]:
    """Return up to `most` random candidates in the first of `slots` slots, and which slots hold one.

    Candidates of high first priority are in. Of 10^5 draws of 23 bits some are equal: the second priority settles who
    is in at the border, which keeps the choice uniform.

    Args:
        priority: two random numbers for each box, from 0.
        candidate: which boxes may be drawn.
        most: how many are drawn, at most.
        slots: K.

    Returns:
        The box in each slot, and which slots hold one. Those above the border come first, by index.
    """
    picks = min(slots, candidate.shape[0])
    first, second = (jnp.where(candidate, ordered(each), 0) for each in priority)  # 0: below every priority
    wanted = jnp.clip(most, 1, picks)
    border = kth_largest(first, wanted)
    above = first > border
    better, slot = above.sum(), jnp.arange(picks)
    tied = jnp.where(first == border, second, 0)
    rest = largest(tied, wanted - better, picks)
    _, rank = jax.lax.top_k(jnp.where(slot < wanted - better, priority[1][rest], -1.0), picks)
    indices = jnp.where(slot < better, first_true(above, picks), rest[rank][jnp.maximum(slot - better, 0)])
    drawn = slot < jnp.minimum(most, candidate.sum())
    return jnp.pad(indices, (0, slots - picks)), jnp.pad(drawn, (0, slots - picks))
