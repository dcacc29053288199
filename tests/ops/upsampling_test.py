"""Transposed convolution against loops over the definition, adjoints, and torch."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax

from jaxvision.ops.dispatch import plain_forms
from jaxvision.ops.upsampling import Steps, conv_transpose, transposed

# kernel, strides, padding, output_padding
SETTINGS = [
    (4, 2, 1, 0),
    (2, 2, 0, 0),
    (3, 2, 1, 1),
    (3, 1, 1, 0),
    (4, 1, 0, 0),
    (5, 2, 2, 1),
    (1, 2, 0, 1),
    (2, 3, 0, 2),
    (5, 3, 1, 2),
    (3, 3, 2, 0),
    (8, 4, 2, 0),
    (1, 1, 1, 0),
]


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def close(got, want):
    chex.assert_equal_shape([got, want])
    np.testing.assert_allclose(got, want, rtol=0, atol=2e-5 * float(np.abs(want).max()))


def inner(a, b):
    return float(jnp.sum(a * b))


def transposed_by_loop(x, kernel, strides, padding, output_padding):
    batch, height, width, _ = x.shape
    size = kernel.shape[:2]
    whole = [(n - 1) * strides + k + output_padding for n, k in zip((height, width), size, strict=True)]
    y = np.zeros((batch, *whole, kernel.shape[3]), np.float32)
    for i, j in np.ndindex(height, width):
        rows, columns = (slice(n * strides, n * strides + k) for n, k in zip((i, j), size, strict=True))
        y[:, rows, columns] += np.einsum("bc,klco->bklo", x[:, i, j], kernel)
    return y[:, padding : whole[0] - padding, padding : whole[1] - padding]


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_value_adds_its_multiple_of_the_kernel(setting):
    size, *rest = setting
    x, kernel = normal(2, 4, 5, 3), normal(size, size, 3, 4, seed=1)
    want = transposed_by_loop(np.asarray(x), np.asarray(kernel), *rest)
    close(jax.jit(lambda x, k: conv_transpose(x, k, *rest))(x, kernel), want)
    if setting == SETTINGS[0]:
        close(conv_transpose(x, kernel, *rest), want)


def test_oblong_kernels_and_many_channels():
    x, kernel = normal(2, 4, 5, 32), normal(5, 3, 32, 16, seed=1)
    close(conv_transpose(x, kernel, 2, 1, 1), transposed_by_loop(np.asarray(x), np.asarray(kernel), 2, 1, 1))


@pytest.mark.parametrize("setting", SETTINGS)
def test_equals_the_accelerators_form_with_both_gradients(setting):
    size, *rest = setting
    x, kernel = normal(2, 4, 5, 3), normal(size, size, 3, 4, seed=1)

    def both(form):
        def run(x, kernel, dy):
            y, pullback = jax.vjp(form, x, kernel)
            return y, pullback(dy)

        return jax.jit(run)

    ours, reference = (lambda x, k: conv_transpose(x, k, *rest)), (lambda x, k: transposed(x, k, Steps(*rest)))
    dy = normal(*jax.eval_shape(ours, x, kernel).shape, seed=2)
    jax.tree.map(close, both(ours)(x, kernel, dy), both(reference)(x, kernel, dy))


@pytest.mark.parametrize("setting", [(4, 2, 1, 0), (3, 2, 1, 1), (3, 3, 2, 0)])
def test_it_is_the_adjoint_of_the_strided_convolution(setting):
    size, strides, padding, output_padding = setting
    x, kernel = normal(2, 4, 5, 3), normal(size, size, 3, 4, seed=1)
    y = jax.jit(lambda x: conv_transpose(x, kernel, strides, padding, output_padding))(x)
    z = normal(*y.shape, seed=2)
    pads = ((padding, padding),) * 2
    numbers = ("NHWC", "HWIO", "NHWC")
    back = lax.conv_general_dilated(z, kernel.transpose(0, 1, 3, 2), (strides,) * 2, pads, dimension_numbers=numbers)
    np.testing.assert_allclose(inner(y, z), inner(x, back), rtol=1e-4, atol=1e-3)


def test_gradients_are_the_finite_differences():
    x, kernel = normal(1, 2, 3, 2), normal(3, 3, 2, 2, seed=1)

    @jax.jit
    def f(x, kernel):
        return jnp.sum(jnp.square(conv_transpose(x, kernel, 2, 1, 1)))

    for argument, got in enumerate(jax.jit(jax.grad(f, (0, 1)))(x, kernel)):
        for place in [(0, 0, 0, 0), (0, 1, 1, 1), (0, 1, 0, 1)]:
            moved = [[x, kernel], [x, kernel]]
            for arguments, step in zip(moved, (0.1, -0.1), strict=True):
                arguments[argument] = arguments[argument].at[place].add(step)
            np.testing.assert_allclose(got[place], (f(*moved[0]) - f(*moved[1])) / 0.2, rtol=1e-3, atol=1e-3)


def test_a_penalty_on_a_gradient_is_differentiable():
    x, kernel = normal(1, 2, 3, 2), normal(4, 4, 2, 2, seed=1)

    def penalty(form):
        def norm(x, kernel):
            return jnp.sum(jnp.square(jax.grad(lambda x: jnp.sum(jnp.tanh(form(x, kernel, Steps(2, 1, 0)))))(x)))

        return jax.jit(jax.grad(norm, (0, 1)))(x, kernel)

    jax.tree.map(close, penalty(lambda x, k, at: conv_transpose(x, k, *at)), penalty(transposed))


def test_maps_over_examples_and_keeps_bfloat16():
    x, kernel = normal(3, 4, 5, 2), normal(4, 4, 2, 3, seed=1)
    want = jax.jit(lambda x: conv_transpose(x, kernel, 2, 1))(x)
    close(jax.jit(jax.vmap(lambda x: conv_transpose(x[None], kernel, 2, 1)[0]))(x), want)
    small = (x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16))
    y, pullback = jax.vjp(jax.jit(lambda x, k: conv_transpose(x, k, 2, 1)), *small)
    assert {y.dtype, *(d.dtype for d in pullback(y))} == {jnp.dtype(jnp.bfloat16)}
    np.testing.assert_allclose(y.astype(jnp.float32), want, atol=0.2)


def test_settings_without_a_meaning_are_errors():
    x, kernel = normal(1, 2, 2, 1), normal(2, 2, 1, 1)
    with pytest.raises(ValueError, match="output_padding=2"):
        conv_transpose(x, kernel, 2, 0, 2)
    with pytest.raises(ValueError, match="padding=2"):
        conv_transpose(x, kernel, 2, 2)


@pytest.mark.peer
@pytest.mark.parametrize("setting", [s for s in SETTINGS if s[0] > 1])
def test_torch_gives_the_same_transposed_convolution(setting):
    torch = pytest.importorskip("torch")
    size, *rest = setting
    x, kernel = normal(2, 4, 5, 3), normal(size, size, 3, 4, seed=1)
    tensors = [torch.tensor(np.array(a), requires_grad=True) for a in (x, kernel)]
    weight = tensors[1].permute(2, 3, 0, 1)
    want = torch.nn.functional.conv_transpose2d(
        tensors[0].permute(0, 3, 1, 2), weight, stride=rest[0], padding=rest[1], output_padding=rest[2]
    ).permute(0, 2, 3, 1)
    y, pullback = jax.vjp(jax.jit(lambda x, k: conv_transpose(x, k, *rest)), x, kernel)
    close(y, want.detach().numpy())
    dy = normal(*y.shape, seed=2)
    want.backward(torch.tensor(np.array(dy)))
    for got, tensor in zip(pullback(dy), tensors, strict=True):
        close(got, tensor.grad.numpy())


@pytest.mark.parametrize("outputs", [3, 256])
def test_a_batch_of_unknown_size_has_a_plain_form(outputs):
    """Also to many outputs, whose CPU form is another."""
    kernel = normal(4, 4, 2, outputs, seed=1)
    rows = export.symbolic_shape("b")[0]
    with plain_forms():
        program = export.export(jax.jit(lambda x: conv_transpose(x, kernel, 2, 1)))
        exported = program(jax.ShapeDtypeStruct((rows, 3, 4, 2), jnp.float32))
    x = normal(3, 3, 4, 2)
    close(exported.call(x), conv_transpose(x, kernel, 2, 1))
