"""Lab equals scikit-image's, both ways, and bins cover what a screen can show."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
from skimage import color

from jaxvision.ops.lab import color_bins, grey, hull_bins, to_lab, to_rgb

RGB = jnp.concatenate(
    [
        np.random.default_rng(0).uniform(0, 1, (500, 3)),
        np.random.default_rng(1).uniform(0, 0.05, (100, 3)),
        np.array([[i & 1, i >> 1 & 1, i >> 2] for i in range(8)]),
    ]
).astype(jnp.float32)


def test_lab_is_scikit_images():
    np.testing.assert_allclose(jax.jit(to_lab)(RGB), color.rgb2lab(np.asarray(RGB, np.float64)), atol=2e-3)


def test_back_again():
    np.testing.assert_allclose(to_rgb(to_lab(RGB)), RGB, atol=1e-4)
    lab = np.random.default_rng(2).uniform([0, -60, -60], [100, 60, 60], (500, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-image warns of colours out of gamut, which are clipped
        expected = color.lab2rgb(lab)
    np.testing.assert_allclose(to_rgb(jnp.asarray(lab, jnp.float32)), expected, atol=2e-4)


def test_grey_keeps_lightness_and_leaves_grey_alone():
    found = grey(RGB)
    lab = np.asarray(to_lab(found))
    np.testing.assert_allclose(lab[:, 0], to_lab(RGB)[:, 0], atol=0.02)
    np.testing.assert_allclose(lab[:, 1:], 0, atol=0.02)
    assert (found == found[:, :1]).all()
    levels = jnp.repeat(jnp.linspace(0, 1, 256)[:, None], 3, axis=1)
    np.testing.assert_allclose(grey(levels), levels, atol=1e-5)


def test_gradients_are_finite_at_black_and_at_the_knees():
    values = jnp.array([[0.0, 0.0, 0.0], [0.04045, 0.04045, 0.04045], [1.0, 1.0, 1.0]])
    grads = jax.grad(lambda x: to_rgb(to_lab(x)).sum())(values)
    assert np.isfinite(np.asarray(grads)).all()


def test_every_color_has_its_bin_and_every_bin_a_color():
    bins = color_bins()
    assert bins.shape == (261, 2) and (bins % 10 == 0).all()
    assert len(np.unique(bins, axis=0)) == 261 and [0, 0] in bins.tolist()
    known = {tuple(b) for b in bins.tolist()}
    colors = np.random.default_rng(0).integers(0, 256, (4000, 3)) / 255
    cells = np.rint(color.rgb2lab(colors)[:, 1:] / 10) * 10
    assert {tuple(c) for c in cells.tolist()} <= known
    assert len(color_bins(20)) < 90


def test_the_papers_313_colours_are_found():
    """Zhang et al. 2016: for each a = -90, -80 … 100 the first and the last b of pts_in_hull.npy, which has no gaps."""
    first = (50, 20, 0, -20, -30, -40, -50, -50, -60, -70, -80, -80, -90, -100, -100, -110, -110, -110, -110, -90)
    last = (90, 90, 90, 90, 100, 100, 100, 100, 100, 100, 90, 90, 90, 90, 80, 80, 80, 70, 70, 0)
    wanted = [
        (a, b) for a, low, high in zip(range(-90, 101, 10), first, last, strict=True) for b in range(low, high + 1, 10)
    ]
    found = hull_bins()
    assert len(wanted) == 313 and found.dtype == np.float32
    np.testing.assert_array_equal(found, wanted)
    known = {tuple(b) for b in found.tolist()}
    assert {tuple(b) for b in color_bins().tolist()} < known
