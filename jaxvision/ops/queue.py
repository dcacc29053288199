"""A ring of rows, in which the newest take the place of the oldest."""

import jax.numpy as jnp
from jaxtyping import Array, Int, Shaped


def enqueue(
    queue: Shaped[Array, "K D"], head: Int[Array, ""], rows: Shaped[Array, "N D"]
) -> tuple[Shaped[Array, "K D"], Int[Array, ""]]:
    """Put rows into the queue; of more than K rows the last K stay.

    Args:
        queue: K rows.
        head: where the oldest row is.
        rows: the new rows, oldest first.

    Returns:
        The queue, and where its oldest row now is.
    """
    length, count = queue.shape[0], rows.shape[0]
    skipped = max(0, count - length)
    places = (head + skipped + jnp.arange(count - skipped)) % length
    return queue.at[places].set(rows[skipped:], unique_indices=True), (head + count) % length


def oldest_first(queue: Shaped[Array, "K D"], head: Int[Array, ""]) -> Shaped[Array, "K D"]:
    """Return the rows in the order in which they came."""
    return jnp.roll(queue, -head, axis=0)
