"""The identities of contrastive losses, and that several devices compute what one does."""

import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.test_util import check_grads

from jaxvision.losses.contrastive import info_nce, nt_xent, unit

RNG = np.random.default_rng(0)
A, B = (jnp.asarray(RNG.normal(size=(8, 5)).astype(np.float32)) for _ in range(2))
QUEUE = unit(jnp.asarray(RNG.normal(size=(11, 5)).astype(np.float32)))


@pytest.mark.parametrize("temperature", [0.01, 0.1, 0.5])
def test_identical_embeddings(temperature: float):
    same = jnp.tile(A[:1], (8, 1))
    found = nt_xent(same, 3.0 * same, temperature)
    np.testing.assert_allclose(found.loss, math.log(15), rtol=1e-5)
    assert found.accuracy <= 0.5  # a collapse is no success
    zeros = jnp.zeros((8, 5))
    np.testing.assert_allclose(nt_xent(zeros, zeros, temperature).loss, math.log(15), rtol=1e-6)
    assert nt_xent(zeros, zeros, temperature).accuracy == 0


def test_equal_similarities():
    q = jnp.eye(3)[:1].repeat(4, 0)
    found = info_nce(q, q, q[:1].repeat(11, 0), 0.07)
    np.testing.assert_allclose(found.loss, math.log(12), rtol=1e-6)
    assert found.accuracy == 0
    across = info_nce(q, jnp.eye(3)[1:2].repeat(4, 0), jnp.eye(3)[2:].repeat(11, 0), 0.07)
    np.testing.assert_allclose(across.loss, math.log(12), rtol=1e-6)


def test_nt_xent_is_the_papers_formula():
    """Equation 1 as written: ℓ(i, j) of every view and its partner, averaged."""
    z = np.concatenate([A, B]).astype(np.float64)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    s = np.exp(z @ z.T / 0.2)
    pairs = [(i, (i + 8) % 16) for i in range(16)]
    terms = [-math.log(s[i, j] / (s[i].sum() - s[i, i])) for i, j in pairs]
    np.testing.assert_allclose(nt_xent(A, B, 0.2).loss, np.mean(terms), rtol=1e-5)
    right = [s[i, j] > max(s[i, k] for k in range(16) if k not in (i, j)) for i, j in pairs]
    np.testing.assert_allclose(nt_xent(A, B, 0.2).accuracy, np.mean(right))


def test_nt_xent_equals_optax():
    z = unit(jnp.concatenate([A, B]))
    expected = optax.losses.ntxent(z, jnp.tile(jnp.arange(8), 2), 0.3)
    np.testing.assert_allclose(nt_xent(A, B, 0.3).loss, expected, rtol=1e-5)


def test_info_nce_is_the_papers_formula():
    q, k, queue = (np.asarray(unit(x), np.float64) for x in (A, B, QUEUE))
    positive = np.exp((q * k).sum(1) / 0.1)
    expected = -np.log(positive / (positive + np.exp(q @ queue.T / 0.1).sum(1)))
    np.testing.assert_allclose(info_nce(A, B, QUEUE, 0.1).loss, expected.mean(), rtol=1e-5)


def test_neither_overflows_nor_underflows():
    for x in (A * 1e8, A * 1e-8):
        found = nt_xent(x, x, 0.01)
        gradient = jax.grad(lambda x: nt_xent(x, x, 0.01).loss)(x)
        assert np.isfinite(found.loss) and found.accuracy == 1 and np.isfinite(gradient).all()
    assert np.isfinite(jax.grad(lambda x: nt_xent(x, x, 0.1).loss)(jnp.zeros((4, 5)))).all()


def test_gradients():
    check_grads(jax.jit(lambda a, b: nt_xent(a, b, 0.5).loss), (A, B), 1, ["rev"], rtol=1e-2, atol=1e-3)
    check_grads(jax.jit(lambda q: info_nce(q, B, QUEUE, 0.5).loss), (A,), 1, ["rev"], rtol=1e-2, atol=1e-3)
    to_keys, to_queue = jax.grad(lambda k, queue: info_nce(A, k, queue, 0.5).loss, (0, 1))(B, QUEUE)
    assert not to_keys.any() and not to_queue.any()


@pytest.mark.parametrize("count", [1, 2, 4])
def test_devices_agree_on_loss_and_gradient(count: int):
    """Parameters shared by the devices, gradients averaged over them: what `descend` does."""
    weights = jnp.asarray(RNG.normal(size=(5, 4)).astype(np.float32))

    def loss(w, a, b, axis_name=None):
        found = nt_xent(a @ w, b @ w, 0.1, axis_name)
        return found.loss, found.accuracy

    def step(w, a, b):
        return jax.lax.pmean(jax.value_and_grad(loss, has_aux=True)(w, a, b, "data"), "data")

    run = jax.pmap(step, "data", in_axes=(None, 0, 0), out_axes=None, devices=jax.devices()[:count])
    found = run(weights, A.reshape(count, -1, 5), B.reshape(count, -1, 5))
    chex.assert_trees_all_close(found, jax.value_and_grad(loss, has_aux=True)(weights, A, B), rtol=1e-5, atol=1e-6)


def test_unit_vectors():
    np.testing.assert_allclose(jnp.linalg.norm(unit(A), axis=1), 1, rtol=1e-6)
    assert not unit(jnp.zeros((2, 3))).any()
    assert unit(A.astype(jnp.bfloat16)).dtype == jnp.float32
