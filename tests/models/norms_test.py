import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.layers import BatchNorm
from jaxvision.models.norms import NORMS, FrozenBatchNorm, GroupNorm, SplitBatchNorm

X = jnp.asarray(np.random.default_rng(0).normal(2, 3, (2, 4, 4, 8)).astype(np.float32))


def variables(norm) -> dict:
    rng = np.random.default_rng(1)
    found = norm(use_running_average=True).init(jax.random.PRNGKey(0), X)
    return jax.tree.map(lambda a: jnp.asarray(rng.uniform(0.5, 1.5, a.shape).astype(np.float32)), found)


@pytest.mark.parametrize("epsilon", [0.0, 1e-5, 1e-1])
def test_frozen_equals_batch_norm_in_evaluation(epsilon: float):
    stored = variables(BatchNorm)
    expected = BatchNorm(use_running_average=True, epsilon=epsilon).apply(stored, X)
    for training in (False, True):
        frozen = FrozenBatchNorm(use_running_average=not training, epsilon=epsilon)
        found, updated = frozen.apply(stored, X, mutable=["batch_stats"])
        np.testing.assert_allclose(found, expected, atol=1e-5)
        np.testing.assert_array_equal(updated["batch_stats"]["mean"], stored["batch_stats"]["mean"])


def test_frozen_has_batch_norms_variables_and_no_gradient():
    assert jax.tree.structure(variables(FrozenBatchNorm)) == jax.tree.structure(variables(BatchNorm))
    stored = variables(FrozenBatchNorm)

    def total(params):
        return FrozenBatchNorm().apply({**stored, "params": params}, X).sum()

    assert not any(g.any() for g in jax.tree.leaves(jax.grad(total)(stored["params"])))


def test_one_group_is_batch_norm():
    stored = variables(BatchNorm)
    assert jax.tree.structure(variables(SplitBatchNorm)) == jax.tree.structure(stored)
    for train in (False, True):
        apply = [n(use_running_average=not train).apply for n in (BatchNorm, SplitBatchNorm)]
        expected, found = (f(stored, X, mutable=["batch_stats"]) for f in apply)
        chex.assert_trees_all_close(found, expected, atol=1e-5)


def test_each_group_is_normalised_as_if_alone():
    x, stored = jnp.concatenate([X, 5.0 * X - 1.0]), variables(SplitBatchNorm)
    norm = SplitBatchNorm(use_running_average=False, groups=2)
    found, updated = norm.apply(stored, x, mutable=["batch_stats"])
    alone = [
        BatchNorm(use_running_average=False).apply(stored, part, mutable=["batch_stats"]) for part in (x[:2], x[2:])
    ]
    np.testing.assert_allclose(found, jnp.concatenate([y for y, _ in alone]), atol=1e-4)
    mean = jax.tree.map(lambda a, b: (a + b) / 2, alone[0][1], alone[1][1])
    chex.assert_trees_all_close(updated, mean, rtol=1e-4)
    evaluated = SplitBatchNorm(use_running_average=True, groups=2).apply(stored, x[:3])  # any number of rows
    np.testing.assert_allclose(evaluated, BatchNorm(use_running_average=True).apply(stored, x[:3]), atol=1e-5)
    with pytest.raises(ValueError, match="a batch of 3 does not divide by 2 groups"):
        norm.apply(stored, x[:3], mutable=["batch_stats"])


@pytest.mark.parametrize(("channels", "groups"), [(8, 4), (64, 32), (256, 32), (12, 2), (3, 1)])
def test_groups_have_at_least_two_channels(channels: int, groups: int):
    x = jnp.asarray(np.random.default_rng(0).normal(2, 3, (2, 4, 4, channels)).astype(np.float32))
    norm = GroupNorm(use_running_average=False)
    stored = norm.init(jax.random.PRNGKey(0), x)
    assert set(stored) == {"params"} and set(stored["params"]) == {"scale", "bias"}
    parts = norm.apply(stored, x).reshape(2, 16, groups, channels // groups)
    np.testing.assert_allclose(parts.mean((1, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(parts.var((1, 3)), 1, atol=1e-3)


def test_all_accept_what_networks_pass():
    for norm in NORMS.values():
        layer = norm(use_running_average=True, dtype=jnp.float32, scale_init=jax.nn.initializers.zeros, name="bn")
        assert not layer.apply(layer.init(jax.random.PRNGKey(0), X), X).any()
