"""The five kinds of unpooling in one network."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.encoder_decoder import UNPOOLING, EncoderDecoder
from jaxvision.ops.dispatch import plain_forms


@pytest.mark.parametrize("kind", UNPOOLING)
def test_every_kind_gives_every_pixel_logits_and_a_gradient(kind: str, filled: Callable):
    net = EncoderDecoder(3, kind, width=0.125)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 21, 32, 3)), jnp.float32)
    variables = filled(net, x)

    def loss(params):
        outputs, _ = net.apply({**variables, "params": params}, x, train=True, mutable=["batch_stats"])
        return jnp.square(outputs["logits"] - 1).sum(), outputs

    with plain_forms():
        grads, outputs = jax.jit(jax.grad(loss, has_aux=True))(variables["params"])
    assert outputs["logits"].shape == (2, 21, 32, 3)
    assert outputs["pooled3"].shape == (2, 3, 4, 16) and outputs["unpooled3"].shape == (2, 6, 8, 16)
    assert all(jnp.isfinite(g).all() for g in jax.tree.leaves(grads))
    assert jnp.abs(grads["down1_conv1"]["kernel"]).max() > 0


def test_kinds_differ_in_nothing_but_the_unpooling(filled: Callable):
    x = jnp.ones((1, 16, 16, 3))
    params = {kind: filled(EncoderDecoder(3, kind, 0.125), x)["params"] for kind in UNPOOLING}
    shared = set(params["nearest"])
    assert all(set(p) - shared == ({f"transposed{i}" for i in (1, 2, 3)} if kind == "transposed" else set())
               for kind, p in params.items())  # fmt: skip
    net = EncoderDecoder(3, "bed_of_nails", 0.125)
    nails = jax.jit(partial(net.apply, train=False))(filled(net, x), x)
    assert (np.asarray(nails["unpooled2"])[:, 1::2] == 0).all()


def test_an_unknown_kind_is_named():
    with pytest.raises(ValueError, match="unpooling 'magic': choose one of nearest, bed_of_nails"):
        EncoderDecoder(3, "magic").init(jax.random.PRNGKey(0), jnp.zeros((1, 8, 8, 3)), train=False)
