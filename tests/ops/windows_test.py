"""`fold` is the adjoint of `views`: <views(x), p> = <x, fold(p)>."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import windows

CASES = [((3, 3), (2, 2), ((1, 1), (1, 1))), ((2, 3), (3, 1), ((0, 1), (2, 0))), ((5, 2), (2, 4), ((2, 1), (0, 0)))]


@pytest.mark.parametrize(("window", "strides", "pads"), CASES)
def test_views_read_the_windows_and_fold_adds_them_up(window, strides, pads):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 9, 10, 3)).astype(np.float32)
    views = np.array(windows.views(windows.pad(jnp.asarray(x), pads), window, strides))
    padded = np.pad(x, ((0, 0), *pads, (0, 0)))
    i, j = window[0] - 1, window[1] - 1
    np.testing.assert_array_equal(views[i, j][:, 1, 1], padded[:, strides[0] + i, strides[1] + j])
    counts = [windows.count(n, k, s, p) for n, k, s, p in zip((9, 10), window, strides, pads, strict=True)]
    assert list(views.shape[3:5]) == counts
    pieces = rng.normal(size=views.shape).astype(np.float32)
    edges = [(windows.overlap(k, s),) * 2 for k, s in zip(window, strides, strict=True)]

    def piece(i, j):
        return windows.pad(jnp.asarray(pieces[i, j]), (edges[0], edges[1]))

    got = windows.fold(piece, window, strides, (9, 10), pads)
    assert got.shape == x.shape
    np.testing.assert_allclose((np.asarray(got) * x).sum(), (pieces * views).sum(), rtol=1e-4)
