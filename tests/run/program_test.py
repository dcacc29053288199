"""What is read off a traced step: collectives with their bytes, sorts, gathers, loops, products."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxvision.run.program import bytes_of, collectives, equations, operations, trace
from tests.train.toy import Numbers, regression


def test_a_steps_gradients_are_reduced_once():
    batch = next(Numbers(0, 1))
    assert collectives(trace(regression(), batch).jaxpr) == {}
    program = trace(regression(), batch, 4)
    assert program.batch["x"].shape == (2, 3) and bytes_of(program.state.params) == 12
    assert collectives(program.jaxpr) == {"all_reduce": 12 + 4}  # and the loss


def test_gathers_count_what_arrives():
    def gather(x: jax.Array) -> jax.Array:
        return lax.all_gather(x, "d", tiled=True) + lax.psum(jnp.ones(8), "d").sum()

    assert collectives(jax.make_jaxpr(gather, axis_env=[("d", 4)])(jnp.zeros(6)).jaxpr) == {
        "all_gather": 4 * 24,
        "all_reduce": 32,
    }


def test_slow_operations_are_counted_also_inside_of_loops():
    def slow(x: jax.Array, at: jax.Array) -> jax.Array:
        def body(_: int, y: jax.Array) -> jax.Array:
            return y.at[at].add(lax.top_k(y, 4)[0])

        jax.debug.callback(print, x)
        return lax.fori_loop(0, jnp.argmax(x), body, x) + x[at].sum()

    found = operations(jax.make_jaxpr(slow)(jnp.zeros(64), jnp.zeros(4, jnp.int32)).jaxpr)
    assert found == {
        **{"sorted": 64, "gathered": 16, "scattered": 16, "loops": 1, "waits": 1, "callbacks": 1},
        **{"products": 0, "float64": 0},
    }
    counted = jax.make_jaxpr(lambda x: lax.fori_loop(0, 3, lambda _, y: y + 1, x))(jnp.zeros(4)).jaxpr
    assert (operations(counted)["loops"], operations(counted)["waits"]) == (1, 0), "a fixed number of rounds"


def test_products_count_multiplications():
    def layers(x: jax.Array, kernel: jax.Array, matrix: jax.Array) -> jax.Array:
        y = lax.conv_general_dilated(x, kernel, (2, 2), ((1, 1), (1, 1)), dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return y.reshape(2, -1) @ matrix

    program = jax.make_jaxpr(layers)(np.zeros((2, 8, 8, 3)), np.zeros((3, 3, 3, 5)), np.zeros((80, 7))).jaxpr
    assert operations(program)["products"] == 2 * 4 * 4 * 5 * 27 + 2 * 7 * 80
    assert {e.primitive.name for e in equations(program)} >= {"conv_general_dilated", "dot_general", "reshape"}
