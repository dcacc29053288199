import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops.queue import enqueue, oldest_first


@pytest.mark.parametrize(("length", "count"), [(12, 4), (10, 4), (7, 5), (5, 5), (3, 8), (1, 2)])
def test_holds_the_last_rows_in_order(length: int, count: int):
    """Also where the length is no multiple of what comes at a time, or less than that."""
    come = [np.full(2, -1.0)] * length
    queue, head = jnp.full((length, 2), -1.0), jnp.zeros((), jnp.int32)
    step = jax.jit(enqueue)
    for i in range(9):
        rows = np.arange(2.0 * count * i, 2 * count * (i + 1), dtype=np.float32).reshape(count, 2)
        queue, head = step(queue, head, rows)
        come.extend(rows)
        np.testing.assert_array_equal(oldest_first(queue, head), np.stack(come[-length:]))
    assert head.dtype == jnp.int32 and 0 <= int(head) < length
