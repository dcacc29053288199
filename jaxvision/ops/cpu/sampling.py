"""Random choice on a CPU, where `lax.top_k` sorts only as far as is wanted."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


def draw(
    priority: Float[Array, "2 N"], candidate: Bool[Array, " N"], most: Int[Array, ""], slots: int
) -> tuple[Int[Array, " K"], Bool[Array, " K"]]:
    """Return `ops.sampling.draw` by two partial sorts.

    Args:
        priority: two random numbers for each box.
        candidate: which boxes may be drawn.
        most: how many are drawn, at most.
        slots: K.

    Returns:
        The box in each slot, and which slots hold one.
    """
    picks = min(slots, candidate.shape[0])
    first, second = jnp.where(candidate[None], priority, -1.0)
    # The second draw settles who is in at the border; a full sort by both would take 100 times as long.
    border = jax.lax.top_k(first, picks)[0][jnp.clip(most - 1, 0, picks - 1)]
    _, indices = jax.lax.top_k(jnp.where(first > border, 1.0, jnp.where(first == border, second, -1.0)), picks)
    drawn = candidate[indices] & (jnp.arange(picks) < most)
    return jnp.pad(indices, (0, slots - picks)), jnp.pad(drawn, (0, slots - picks))
