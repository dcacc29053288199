"""Transposed convolution and interpolation against loops over the definition, adjoints, and torch."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxvision.ops.convolution import spread
from jaxvision.ops.upsampling import (
    _along,
    _convolved,
    _dilated,
    _product,
    _products,
    _Steps,
    _weights,
    bilinear_init,
    bilinear_kernel,
    conv_transpose,
    interpolate,
    resize_bilinear,
)

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
SIZES = [((3, 4), (7, 9)), ((5, 4), (5, 4)), ((9, 8), (4, 5)), ((2, 3), (16, 24)), ((1, 3), (4, 1)), ((2, 1), (70, 3))]


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


@pytest.mark.parametrize("setting", [s for s in SETTINGS if s[0] > s[1]])
def test_forms_for_many_channels_say_the_same_as_those_for_few(setting):
    size, *rest = setting
    at, x, kernel = _Steps(*rest), normal(2, 4, 5, 3), normal(size, size, 3, 4, seed=1)
    y = conv_transpose(x, kernel, *rest)
    strides, lows = (at.strides,) * 2, (at.padding,) * 2
    close(spread(x, kernel, strides, lows, at.sizes(x.shape, kernel.shape)), y)
    for got, want in zip(_convolved(x, kernel, y, at), _products(x, kernel, y, at), strict=True):
        close(got, want)


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

    ours, reference = (lambda x, k: conv_transpose(x, k, *rest)), (lambda x, k: _dilated(x, k, _Steps(*rest)))
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
            return jnp.sum(jnp.square(jax.grad(lambda x: jnp.sum(jnp.tanh(form(x, kernel, _Steps(2, 1, 0)))))(x)))

        return jax.jit(jax.grad(norm, (0, 1)))(x, kernel)

    jax.tree.map(close, penalty(lambda x, k, at: conv_transpose(x, k, *at)), penalty(_dilated))


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
    with pytest.raises(ValueError, match="factor"):
        bilinear_init(jax.random.PRNGKey(0), (6, 6, 2, 2))


def test_bilinear_kernels_by_hand():
    np.testing.assert_array_equal(bilinear_kernel(1), [[1]])
    np.testing.assert_allclose(bilinear_kernel(2)[1], np.array([1, 3, 3, 1]) * 3 / 16)
    np.testing.assert_allclose(bilinear_kernel(3)[2], np.array([1, 2, 3, 2, 1]) / 3, rtol=1e-6)
    assert [bilinear_kernel(s).shape[0] for s in (2, 3, 8, 16, 32)] == [4, 5, 16, 32, 64]
    kernel = bilinear_init(jax.random.PRNGKey(0), (4, 4, 3, 2))
    chex.assert_trees_all_equal(kernel[:, :, 1, 1], jnp.asarray(bilinear_kernel(2)))
    np.testing.assert_array_equal(kernel[0, 0], np.eye(3, 2) / 16)


@pytest.mark.parametrize("factor", [1, 2, 3, 8, 40])
def test_interpolation_is_that_transposed_convolution(factor):
    x = normal(2, 3, 2, 2)
    size = 2 * factor - factor % 2
    kernel = bilinear_init(jax.random.PRNGKey(0), (size, size, 2, 2))
    for padding in {0, factor // 2}:
        got = jax.jit(lambda x, p=padding: interpolate(x, factor, p))(x)
        close(got, jax.jit(lambda x, p=padding: conv_transpose(x, kernel, factor, p))(x))
    if factor > 1:  # away from the borders a ramp stays a ramp
        ramp = jnp.broadcast_to(jnp.arange(5.0)[None, :, None, None], (1, 5, 5, 1))
        inside = interpolate(ramp, factor)[0, 2 * factor : 4 * factor, 2 * factor, 0]
        np.testing.assert_allclose(np.diff(inside), 1 / factor, atol=1e-5)


def resized_by_loop(x, size, align_corners):
    def at(index, old, new):
        if align_corners:
            place = index * (old - 1) / (new - 1) if new > 1 else 0.0
        else:
            place = min(max((index + 0.5) * old / new - 0.5, 0), old - 1)
        low = min(int(place), old - 1)
        return low, min(low + 1, old - 1), place - low

    y = np.zeros((x.shape[0], *size, x.shape[3]), np.float32)
    for i, j in np.ndindex(*size):
        (top, bottom, v), (left, right, u) = at(i, x.shape[1], size[0]), at(j, x.shape[2], size[1])
        upper = (1 - u) * x[:, top, left] + u * x[:, top, right]
        lower = (1 - u) * x[:, bottom, left] + u * x[:, bottom, right]
        y[:, i, j] = (1 - v) * upper + v * lower
    return y


@pytest.mark.parametrize(("old", "new"), SIZES)
@pytest.mark.parametrize("align_corners", [False, True])
def test_resizing_weighs_four_neighbours(old, new, align_corners):
    x = normal(2, *old, 3)
    resize = lambda x: resize_bilinear(x, new, align_corners=align_corners)  # noqa: E731
    want = resized_by_loop(np.asarray(x), new, align_corners)
    y, pullback = jax.vjp(jax.jit(resize), x)
    close(y, want)
    dy = normal(*y.shape, seed=1)
    np.testing.assert_allclose(inner(y, dy), inner(x, pullback(dy)[0]), rtol=1e-4, atol=1e-4)


def test_the_gradient_of_a_resizing_is_differentiable():
    x, back = normal(1, 2, 3, 2), jax.jit(lambda x: resize_bilinear(x, (4, 5)))
    dy = normal(1, 4, 5, 2, seed=1)
    pull = lambda dy: jax.vjp(back, x)[1](dy)[0]  # noqa: E731
    close(jax.jit(jax.grad(lambda dy: jnp.sum(jnp.square(pull(dy)))))(dy), 2 * back(pull(dy)))


@pytest.mark.parametrize("shape", [(12, 5), (5, 12), (6, 3)])
@pytest.mark.parametrize("axis", [1, 2])
def test_a_band_is_the_product(shape, axis):
    """Also with rows of zeros, which a smaller size's transpose has."""
    weights = _weights(shape[1], shape[0], False)
    for matrix in (weights, weights.T):
        x = normal(2, *(matrix.shape[1] if a == axis else 3 for a in (1, 2)), 2)
        got = jax.jit(lambda x, m=matrix: _along(x, m, axis))(x)
        close(got, jax.jit(lambda x, m=matrix: _product(x, m, axis))(x))


def test_resizing_keeps_bfloat16_and_maps_over_examples():
    x = normal(2, 3, 5, 2)
    half = resize_bilinear(x.astype(jnp.bfloat16), (6, 7))
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), resize_bilinear(x, (6, 7)), atol=0.03)
    close(jax.jit(jax.vmap(lambda x: resize_bilinear(x[None], (6, 7))[0]))(x), resize_bilinear(x, (6, 7)))


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


@pytest.mark.peer
@pytest.mark.parametrize(("old", "new"), [*SIZES, ((45, 60), (90, 121)), ((28, 28), (57, 61))])
@pytest.mark.parametrize("align_corners", [False, True])
def test_torch_resizes_alike(old, new, align_corners):
    torch = pytest.importorskip("torch")
    x = normal(2, *old, 3)
    want = torch.nn.functional.interpolate(
        torch.tensor(np.array(x)).permute(0, 3, 1, 2), new, mode="bilinear", align_corners=align_corners
    )
    got = jax.jit(lambda x: resize_bilinear(x, new, align_corners=align_corners))(x)
    close(got, want.permute(0, 2, 3, 1).numpy())
