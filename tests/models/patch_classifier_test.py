"""Convolving a patch classifier gives what sliding it gives."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.patch_classifier import PatchClassifier, patches


@pytest.mark.parametrize("size", [(40, 48), (37, 41)])
def test_dense_is_sliding_window(size: tuple[int, int], filled: Callable):
    rng = np.random.default_rng(0)
    image = jnp.asarray(rng.normal(size=(2, *size, 3)), jnp.float32)
    net = PatchClassifier(5, dense=True, width=0.25)
    variables = filled(net, image)
    dense = jax.jit(partial(net.apply, train=False))(variables, image)
    down, across = (-(-n // 4) for n in size)
    assert dense["class_map"].shape == (2, down, across, 5) and dense["logits"].shape == (2, *size, 5)
    rows = patches(image)
    assert rows.shape == (2, down * across, 36, 36, 3)
    single = jax.jit(partial(net.clone(dense=False).apply, train=False))
    one_by_one = jnp.stack([single(variables, row)["logits"] for row in rows])
    np.testing.assert_allclose(dense["class_map"].reshape(2, -1, 5), one_by_one, atol=1e-5)


def test_a_patch_shows_its_cell_in_the_middle():
    image = jnp.zeros((1, 40, 40, 1)).at[0, 8:12, 20:24].set(1.0)
    cell = patches(image)[0, 2 * 10 + 5, :, :, 0]
    assert cell[16:20, 16:20].min() == 1 and cell.sum() == 16


def test_another_patch_is_refused():
    with pytest.raises(ValueError, match="got 35x36 patches: give 36x36"):
        PatchClassifier(5).init(jax.random.PRNGKey(0), jnp.zeros((1, 35, 36, 3)), train=False)
