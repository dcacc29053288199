"""Means over devices, keys of steps, one descent, averages."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxvision.train import steps


def state_at(step: int):
    return steps.init_state(jax.random.PRNGKey(0), {"params": {}}, {}).replace(step=jnp.array(step))


def test_pmean_is_the_mean_over_devices_and_nothing_without_them():
    x = jnp.arange(4.0)
    mean = jax.pmap(lambda v: steps.pmean({"v": v}, "data"), "data")(x)
    np.testing.assert_array_equal(mean["v"], np.full(4, 1.5))
    assert steps.pmean(x, None) is x


def test_keys_differ_between_steps_and_devices_but_not_between_runs():
    keys = [steps.step_key(state_at(i)) for i in (0, 1, 1)]
    assert not np.array_equal(keys[0], keys[1]) and np.array_equal(keys[1], keys[2])
    per_device = jax.pmap(lambda _: steps.step_key(state_at(1), "data"), "data")(jnp.zeros(4))
    assert len(np.unique(np.asarray(per_device), axis=0)) == 4


def test_descend_takes_one_step_against_the_gradient():
    tx = optax.with_extra_args_support(optax.sgd(0.5))
    params = {"w": jnp.array([2.0, -4.0])}
    new, _, loss, aux = steps.descend(
        lambda p: (jnp.sum(p["w"] ** 2) / 2, {"seen": p["w"][0]}), params, tx.init(params), tx
    )
    np.testing.assert_allclose(new["w"], [1.0, -2.0])
    assert float(loss) == 10.0 and float(aux["seen"]) == 2.0


def test_descend_averages_gradient_and_aux_over_devices():
    tx = optax.with_extra_args_support(optax.sgd(1.0))
    params = {"w": jnp.zeros(())}

    def step(target):
        return steps.descend(
            lambda p: ((p["w"] - target) ** 2 / 2, target), params, tx.init(params), tx, axis_name="data"
        )

    new, _, loss, aux = jax.pmap(step, "data")(jnp.arange(4.0))
    np.testing.assert_allclose(new["w"], np.full(4, 1.5))
    np.testing.assert_allclose(loss, np.full(4, np.mean(np.arange(4.0) ** 2) / 2))
    np.testing.assert_allclose(aux, np.full(4, 1.5))


def test_ema():
    averaged = steps.ema({"w": jnp.array(1.0)}, {"w": jnp.array(3.0, jnp.bfloat16)}, 0.75)
    assert averaged["w"].dtype == jnp.float32 and float(averaged["w"]) == 1.5


def test_init_state_keeps_every_other_collection():
    variables = {"params": {"w": 1}, "batch_stats": {"mean": 2}}
    state = steps.init_state(jax.random.PRNGKey(0), variables, ())
    assert state.params == {"w": 1} and state.model_state == {"batch_stats": {"mean": 2}} and state.aux == {}


def test_advance_counts_the_step_and_keeps_what_it_is_not_given():
    state = steps.init_state(
        jax.random.PRNGKey(0), {"params": {"w": 1}, "batch_stats": {"mean": 2}}, (0,), {"queue": 3}
    )
    kept = steps.advance(state, {"w": 4}, (5,))
    assert (int(kept.step), kept.params, kept.opt_state) == (1, {"w": 4}, (5,))
    assert kept.model_state == {"batch_stats": {"mean": 2}} and kept.aux == {"queue": 3} and kept.key is state.key
    replaced = steps.advance(kept, {"w": 6}, (7,), {}, {"queue": 8})
    assert int(replaced.step) == 2 and replaced.model_state == {} and replaced.aux == {"queue": 8}


def test_a_task_that_only_looks_stays_as_it_is():
    state = state_at(3)
    assert steps.no_step(state, {}, axis_name=None) == (state, {})


def test_where_nothing_is_learned_there_is_a_state_without_parameters():
    state = steps.nothing().init(jax.random.PRNGKey(0), {})
    assert (int(state.step), jax.tree.leaves((state.params, state.opt_state, state.model_state))) == (0, [])


def test_only_bfloat16_becomes_float32():
    tree = {"a": jnp.ones(2, jnp.bfloat16), "b": jnp.ones(2, jnp.int32), "c": jnp.ones(2, jnp.float16)}
    found = steps.as_float32(tree)
    assert [found[name].dtype for name in "abc"] == [jnp.float32, jnp.int32, jnp.float16]
