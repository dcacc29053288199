"""The shared step of one network: it learns, counts, keeps statistics, and passes metrics on."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxvision.tasks.one_network import evaluate, start, train

SGD = optax.with_extra_args_support(optax.sgd(0.5))
INPUTS = jnp.asarray(np.random.default_rng(0).normal(size=(4, 3)), jnp.float32)


class Network(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        x = nn.Dropout(0.5, deterministic=not train)(nn.BatchNorm(use_running_average=not train)(x))
        return nn.Dense(1)(x)[:, 0]


def loss_of(outputs):
    return jnp.mean(jnp.square(outputs - 1.0)), {"largest": outputs.max()}


def test_a_step_moves_parameters_and_statistics_and_counts():
    before = start(Network(), SGD, jax.random.PRNGKey(0), INPUTS)
    after, metrics = train(Network(), SGD, before, INPUTS, loss_of, dropout_key=jax.random.PRNGKey(1))
    assert (int(before.step), int(after.step)) == (0, 1)
    assert set(metrics) == {"loss", "largest"}
    for field in ("params", "model_state"):
        moved = jax.tree.map(lambda a, b: (a != b).any(), getattr(before, field), getattr(after, field))
        assert any(jax.tree.leaves(moved))


def test_evaluation_draws_nothing():
    state = start(Network(), SGD, jax.random.PRNGKey(0), INPUTS)
    np.testing.assert_array_equal(evaluate(Network(), state, INPUTS), evaluate(Network(), state, INPUTS))
