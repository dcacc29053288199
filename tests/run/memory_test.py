"""How much of a traced program is in memory at once."""

import jax
import jax.numpy as jnp
from jax import lax

from jaxvision.run.memory import inner, peak_bytes, size_of

X = jnp.zeros((256, 256))
MAP = X.nbytes


def peak(function, *arguments) -> int:
    return peak_bytes(jax.make_jaxpr(function)(*arguments).jaxpr)


def test_elementwise_operations_are_computed_where_they_are_read():
    assert peak(lambda x: jnp.sin(jnp.cos(x) * 2 + 1), X) == MAP  # the result alone
    assert peak(lambda x: jnp.sum(jnp.exp(x * 2)), X) == 4


def test_a_product_reads_from_memory():
    assert peak(lambda x: jnp.sum(jnp.exp(x) @ jnp.sin(x)), X) == 3 * MAP  # two factors and the product
    assert peak(lambda x: (x @ x).reshape(-1), X) == MAP  # a view


def test_what_the_gradient_reads_is_kept_and_less_of_it_with_checkpoint():
    def deep(x: jax.Array, each=lambda f: f) -> jax.Array:
        for _ in range(12):
            x = each(lambda y: jnp.tanh(jnp.tanh(y @ y) @ y))(x)
        return x.sum()

    whole, part = peak(jax.grad(deep), X), peak(jax.grad(lambda x: deep(x, jax.checkpoint)), X)
    assert part < 0.7 * whole and whole >= 24 * MAP


def test_a_value_that_nothing_reads_takes_no_room():
    def wasteful(x: jax.Array) -> jax.Array:
        lax.sort(x)
        return x.sum()

    assert peak(wasteful, X) == 4


def test_loops_and_calls_are_looked_into():
    def loop(x: jax.Array) -> jax.Array:
        return lax.fori_loop(0, 3, lambda _, y: jnp.tanh(y @ y) @ y, x)

    assert 2 * MAP <= peak(loop, X) <= 5 * MAP
    assert peak(jax.jit(lambda x: jnp.sum(x @ x)), X) == peak(lambda x: jnp.sum(x @ x), X) == MAP + 4
    (call,) = jax.make_jaxpr(jax.jit(jnp.sum))(X).jaxpr.eqns
    assert len(list(inner(call))) == 1 and size_of(call.outvars[0]) == 4
