"""One switch for all CPU forms: with and without them every op, and a network, gives the same values and gradients."""

import ast
import importlib
import inspect
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.resnet import CifarResNet
from jaxvision.ops import convolution, dispatch, interpolation, pooling, roi, roi_pooling, upsampling

ROIS = jnp.array([[[0.0, 0, 90, 60], [10, 20, 100, 90]]] * 2)
OPS = Path(dispatch.__file__).parent


def convolve(x, kernel):
    return convolution.conv_general_dilated(
        x, kernel, (1, 1), ((1, 1), (1, 1)), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


# a function, and the shapes of its arguments
FORMS = {
    "convolution": (convolve, (2, 7, 6, 32), (3, 3, 32, 33)),
    "transposed convolution": (lambda x, k: upsampling.conv_transpose(x, k, 2, 1), (2, 4, 5, 3), (4, 4, 3, 5)),
    "max pooling": (lambda x: pooling.max_pool(x, 3, 2, 1), (2, 7, 8, 3)),
    "interpolation": (lambda x: interpolation.resize_bilinear(x, (9, 5)), (2, 4, 7, 3)),
    "RoIAlign": (lambda x: roi.roi_align(x, ROIS, (3, 2), spatial_scale=1 / 16), (2, 7, 9, 3)),
    "RoIPool": (lambda x: roi_pooling.roi_pool(x, ROIS, (3, 2), spatial_scale=1 / 16), (2, 7, 9, 3)),
}


def normal(seed, shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def with_gradients(function, *arguments):
    def total(*arguments):
        y = function(*arguments)
        return jnp.sum(jnp.sin(y)), y

    every = tuple(range(len(arguments)))
    return jax.jit(jax.value_and_grad(total, every, has_aux=True))(*arguments)


def close(got, want):
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-4 * max(float(jnp.abs(want).max()), 1e-3))


@pytest.mark.parametrize("name", FORMS)
def test_an_op_has_the_same_values_and_gradients_without_cpu_forms(name, monkeypatch):
    """By the switch, and where their folder isn't there."""
    function, *shapes = FORMS[name]
    arguments = [normal(seed, shape) for seed, shape in enumerate(shapes)]
    want = with_gradients(function, *arguments)
    with dispatch.plain_forms():
        jax.tree.map(close, with_gradients(function, *arguments), want)
    monkeypatch.setattr(dispatch, "CPU_FORMS", "jaxvision.ops.removed")
    jax.tree.map(close, with_gradients(lambda *a: function(*a), *arguments), want)


def test_a_network_has_the_same_values_and_gradients_without_cpu_forms(filled):
    model, x = CifarResNet(10, 8), normal(0, (2, 8, 8, 3))
    variables = filled(model, x)

    def loss(params):
        logits = model.apply({**variables, "params": params}, x, train=False)["logits"]
        return jax.nn.logsumexp(logits, axis=1).sum()

    step = jax.jit(jax.value_and_grad(loss))
    want = step(variables["params"])
    with dispatch.plain_forms():
        jax.tree.map(close, step(variables["params"]), want)
        assert step.lower(variables["params"]).as_text().count("stablehlo.case") == 0


def test_the_switch_reaches_what_is_compiled_already():
    x, pool = normal(0, (1, 4, 4, 1)), jax.jit(lambda x: pooling.max_pool(x, 2, 2))
    outside = pool.lower(x).as_text()
    with dispatch.plain_forms():
        inside = pool.lower(x).as_text()
    assert "reduce_window" in inside and "reduce_window" not in outside
    assert pool.lower(x).as_text() == outside


def named_forms():
    """The names that ops give to `dispatch`, with the plain form where it stands beside them."""
    for path in OPS.glob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "dispatch":
                given = {k.arg: k.value for k in call.keywords}
                plain = getattr(importlib.import_module(f"jaxvision.ops.{path.stem}"), given["default"].id)
                yield plain, given["cpu"].value
                if "gradients" in given:
                    yield None, given["gradients"].value


def test_every_name_is_that_of_a_form_with_the_plain_form_s_parameters():
    forms = list(named_forms())
    assert len(forms) == 13
    for plain, name in forms:
        form = dispatch._load(dispatch.CPU_FORMS, name)
        assert form is not None, f"there is no {name}"
        if plain is not None:
            assert list(inspect.signature(form).parameters) == list(inspect.signature(plain).parameters), name


def test_no_op_imports_a_cpu_form():
    for path in OPS.glob("*.py"):
        assert "ops.cpu import" not in path.read_text() and "import cpu" not in path.read_text(), path.name
