import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.layers import BatchNorm
from jaxvision.models.norms import NORMS, FrozenBatchNorm, GroupNorm

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
