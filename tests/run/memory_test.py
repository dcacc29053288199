"""How much of a traced program is in memory at once."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest
from jax import lax

from jaxvision.run.memory import inner, peak_bytes, size_of
from jaxvision.run.plan import compiled_bytes
from jaxvision.run.program import trace, traced_bytes
from jaxvision.train.steps import descend, init_state
from jaxvision.train.types import Task

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


def test_a_result_takes_the_place_of_its_argument_unless_that_is_read_later():
    def step(old: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        return old - 0.1 * jnp.tanh(x @ x), x.sum()

    program = jax.make_jaxpr(step)(X, X).jaxpr
    assert peak_bytes(program) == 2 * MAP and peak_bytes(program, donated=1) == MAP  # the product alone

    def late(old: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        new = old + 1
        return new, new @ old  # the product must find both in memory

    program = jax.make_jaxpr(late)(X, X).jaxpr
    assert peak_bytes(program, donated=1) == peak_bytes(program) == 2 * MAP


def test_of_a_branch_that_is_known_only_what_it_needs_counts():
    def step(old: jax.Array, x: jax.Array) -> jax.Array:
        return lax.cond(jnp.array(False), lambda o, x: (o @ x) @ o, lambda o, x: o + x, old, x)

    assert peak_bytes(jax.make_jaxpr(step)(X, X).jaxpr, donated=1) == 0
    either = jax.make_jaxpr(lambda p, x: lax.cond(p, lambda x: x @ x, lambda x: x + 1, x))(True, X).jaxpr
    assert peak_bytes(either) == MAP + 4, "the branch writes where its result is"


WEIGHTS = 8 * 2**20


def many_weights(accumulate: int = 1) -> Task:
    """Two layers of 4 MB, trained with momentum: as AlexNet, many weights and next to no activations."""
    sgd = optax.sgd(0.1, momentum=0.9)
    tx = optax.with_extra_args_support(sgd)
    if accumulate > 1:
        multi = optax.MultiSteps(sgd, accumulate)
        tx = optax.GradientTransformationExtraArgs(multi.init, multi.update)

    def init(key: Any, batch: Any) -> Any:
        params = {"a": jnp.ones((1024, 1024)), "b": jnp.ones((1024, 1024))}
        return init_state(key, {"params": params}, tx.init(params))

    def step(state: Any, batch: Any, *, axis_name: str | None = None) -> Any:
        def loss_fn(params: Any) -> Any:
            return (jnp.tanh(batch["x"] @ params["a"]) @ params["b"]).sum(), ()

        params, opt_state, loss, _ = descend(loss_fn, state.params, state.opt_state, tx, axis_name=axis_name)
        return state.replace(step=state.step + 1, params=params, opt_state=opt_state), {"loss": loss}

    return Task(init, step, lambda state, batch: {})


def test_a_step_needs_what_the_compiler_says():
    task = many_weights()
    program = trace(task, {"x": jnp.ones((4, 1024))})
    assert traced_bytes(program) == pytest.approx(
        WEIGHTS, rel=0.05
    )  # the gradient: the new state is the old one's place
    assert compiled_bytes(task, program) == pytest.approx(WEIGHTS, rel=0.6)


def test_accumulated_gradients_are_no_second_state():
    """Of the update that could be skipped, none is; only the old sums and velocities are read once more at the end."""
    program = trace(many_weights(accumulate=2), {"x": jnp.ones((4, 1024))})
    assert traced_bytes(program) == pytest.approx(3 * WEIGHTS, rel=0.05)
