"""What bins cover, against RoIPool and RoIWarp themselves on maps of coordinates."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops.roi import roi_warp
from jaxvision.ops.roi_borders import covered, misalignment
from jaxvision.ops.roi_pooling import roi_pool

ROIS = np.array([[9.0, 21.0, 61.0, 40.0], [30.0, 5.0, 90.0, 75.0]], np.float32)
STRIDE, CANVAS = 8, 128


def borders(operation: str):
    return covered(jnp.asarray(ROIS), (3, 4), operation, stride=STRIDE, canvas=CANVAS)


def test_an_aligned_bin_is_a_part_of_the_roi():
    rows, columns = borders("align")
    np.testing.assert_allclose(rows[0], 21 + 19 * np.array([[0, 1], [1, 2], [2, 3]]) / 3, rtol=1e-6)
    np.testing.assert_allclose(columns[1, 3], [75, 90])
    assert not misalignment(borders("align"), borders("align")).any()


def test_pooled_bins_are_those_of_the_operation():
    """The maximum of a map that grows to the right and down is the last cell of a bin; of one that falls, the first."""
    cells = jnp.arange(CANVAS // STRIDE, dtype=jnp.float32)
    growing = jnp.stack(jnp.meshgrid(cells, cells, indexing="ij"), axis=-1)[None]
    last, first = (
        roi_pool(sign * growing, jnp.asarray(ROIS)[None], (3, 4), spatial_scale=1 / STRIDE)[0] * sign
        for sign in (1, -1)
    )
    rows, columns = borders("pool")
    np.testing.assert_allclose(rows / STRIDE, np.stack([first[:, :, 0, 0], last[:, :, 0, 0] + 1], -1))
    np.testing.assert_allclose(columns / STRIDE, np.stack([first[:, 0, :, 1], last[:, 0, :, 1] + 1], -1))


def test_warped_bins_are_those_of_the_operation():
    """The mean of samples of a map of the cells' middles is the middle of a bin."""
    middles = STRIDE * (jnp.arange(CANVAS // STRIDE, dtype=jnp.float32) + 0.5)
    maps = jnp.stack(jnp.meshgrid(middles, middles, indexing="ij"), axis=-1)[None]
    found = roi_warp(maps, jnp.asarray(ROIS)[None], (3, 4), spatial_scale=1 / STRIDE)[0]
    rows, columns = borders("warp")
    np.testing.assert_allclose(found[:, :, 0, 0], rows.mean(-1), rtol=1e-5)
    np.testing.assert_allclose(found[:, 0, :, 1], columns.mean(-1), rtol=1e-5)


def test_offsets_are_those_of_the_middles():
    """By hand: corners 9, 21, 61, 40 over 8 are rounded to cells 1, 3, 8 and 5, so the RoI is 8, 24, 72, 48."""
    found = misalignment(borders("warp"), borders("align"))[0]
    np.testing.assert_allclose(borders("warp").columns[0, [0, 3]], [[8, 24], [56, 72]])
    down, across = 24 + 4 - (21 + 19 / 6), 8 + 8 - (9 + 6.5)
    np.testing.assert_allclose(found[0, 0], [down, across], rtol=1e-5)


def test_another_operation_is_refused():
    with pytest.raises(ValueError, match="operation 'crop': choose of pool, warp, align"):
        borders("crop")
