"""RoIAlign with as many samples as a bin has cells, against the definition sample by sample, and torchvision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import roi
from jaxvision.ops.roi_adaptive import axis_matrix
from tests.ops.roi_cases import ROIS, SCALE, setup

LARGE = [[-2000.0, -900, 3000, 1200], [10, 20, 5000, 60]]  # beyond the map on both sides: bins of many cells


def plain_axis(start: float, side: float, bins: int, length: int) -> np.ndarray:
    """The definition: each sample of each bin, in single precision as the peers compute it."""
    weights = np.zeros((bins, length))
    size = np.float32(side) / np.float32(bins)
    count = int(np.ceil(size))
    for p in range(bins):
        for k in range(count):
            at = float(start) + p * float(size) + (k + 0.5) * float(size) / count
            if -1 <= at <= length:
                at = min(max(at, 0.0), length - 1.0)
                low = int(at)
                weights[p, low] += (1 - at + low) / count
                weights[p, min(low + 1, length - 1)] += (at - low) / count
    return weights


@pytest.mark.parametrize("bins", [2, 7])
def test_a_matrix_has_the_samples_of_every_bin(bins: int):
    cases = [(0.0, 9.0), (1.3, 4.2), (-3.7, 30.0), (-200.4, 900.0), (2.0, 0.4), (5.0, 0.0), (4.0, -3.0), (-50.0, 20.0)]
    starts, sides = (np.array(values, np.float32) for values in zip(*cases, strict=True))
    matrices = jax.vmap(lambda a, b: axis_matrix(a, b, jnp.array(True), bins, 9))
    found = jax.jit(matrices)(jnp.asarray(starts), jnp.asarray(sides))
    for matrix, start, side in zip(found, starts, sides, strict=True):
        np.testing.assert_allclose(matrix, plain_axis(start, side, bins, 9), atol=1e-4)


def test_the_number_of_samples_follows_the_roi():
    """Two samples an axis, the default, miss most cells of a large bin; as many as cells average over all of them."""
    features = jnp.asarray(np.random.default_rng(0).normal(size=(1, 16, 16, 2)), jnp.float32)
    whole = jnp.array([[[0.0, 0.0, 16.0, 16.0]]])
    found = jax.jit(lambda f: roi.roi_align(f, whole, (1, 1), spatial_scale=1.0, sampling_ratio=0))(features)
    np.testing.assert_allclose(found[0, 0, 0, 0], features[0].mean((0, 1)), atol=1e-5)


def test_what_is_no_box_gives_zeros_and_a_gradient_reaches_every_cell():
    features, _ = setup(batch=1)
    rois = jnp.array([[[0.0, 0, 144, 112], [np.nan, 0, 50, 50], [80, 60, 20, 30]]])
    pooled = jax.jit(lambda f: roi.roi_align(f, rois, (2, 2), spatial_scale=SCALE, sampling_ratio=0))
    found, pull = jax.vjp(pooled, jnp.asarray(features))
    assert float(jnp.abs(found[0, 1:]).max()) == 0.0 < float(jnp.abs(found[0, 0]).max())
    (gradient,) = pull(jnp.ones_like(found))
    np.testing.assert_allclose(gradient[0].sum((0, 1)), [4.0] * 3, rtol=1e-4)  # the weights of each bin add up to 1
    assert float(gradient.min()) > 0.0


def test_fewer_samples_than_none_are_refused():
    with pytest.raises(ValueError, match="sampling_ratio=-1; give a number of samples, or 0"):
        roi.roi_align(jnp.ones((1, 4, 4, 1)), jnp.ones((1, 1, 4)), (2, 2), spatial_scale=1.0, sampling_ratio=-1)


@pytest.mark.peer
@pytest.mark.parametrize("aligned", [True, False])
def test_equals_torchvisions(aligned: bool):
    torch, ops = pytest.importorskip("torch"), pytest.importorskip("torchvision").ops
    features, _ = setup(batch=1)
    rois = np.array([*ROIS[:8], *LARGE], np.float32)
    theirs = ops.roi_align(
        torch.tensor(features.transpose(0, 3, 1, 2)), [torch.tensor(rois)], (3, 2), SCALE, 0, aligned=aligned
    )
    ours = roi.roi_align(
        jnp.asarray(features), jnp.asarray(rois)[None], (3, 2), spatial_scale=SCALE, sampling_ratio=0, aligned=aligned
    )
    np.testing.assert_allclose(ours[0], theirs.permute(0, 2, 3, 1), atol=1e-5)
