"""What a precision says of products of float32 values."""

import jax
import jax.numpy as jnp
import pytest
from jax.lax import Precision

from jaxvision.run import precision


def product_of(name: str) -> set:
    with precision.products(name):
        traced = jax.make_jaxpr(lambda a, b: a @ b)(jnp.ones((2, 2)), jnp.ones((2, 2)))
    (found,) = [eqn.params["precision"] for eqn in traced.eqns if eqn.primitive.name == "dot_general"]
    return set(found)


@pytest.mark.parametrize(
    ("name", "rounding"),
    [("float32", Precision.HIGHEST), ("bfloat16", Precision.HIGHEST), ("tensorfloat32", Precision.HIGH)],
)
def test_products_are_rounded_only_where_that_is_asked_for(name: str, rounding: Precision):
    assert product_of(name) == {rounding}


def test_a_cpu_needs_no_setting_and_says_so(monkeypatch: pytest.MonkeyPatch):
    said: list[str] = []
    for name in ("float32", "bfloat16", "tensorfloat32"):
        with precision.products_here(name, said.append):
            assert jax.config.jax_default_matmul_precision is None
    assert said == ["--precision=tensorfloat32 is float32 on a CPU"]
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    with precision.products_here("tensorfloat32", said.append):
        assert jax.config.jax_default_matmul_precision == "tensorfloat32" and len(said) == 1
