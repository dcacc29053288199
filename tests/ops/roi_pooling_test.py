"""RoIPool against a loop over its definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops.roi_pooling import roi_pool
from tests.ops.roi_cases import SCALE, setup


def plain_pool(feature, box, size):
    height, width, _ = feature.shape
    x0, y0, x1, y1 = (int(np.sign(v) * np.floor(abs(v) + 0.5)) for v in np.nan_to_num(box, posinf=1e6) * SCALE)
    result = np.zeros((*size, feature.shape[-1]))
    for i, j in np.ndindex(*size):
        tall, wide = max(y1 - y0 + 1, 1), max(x1 - x0 + 1, 1)
        rows = [np.clip(b, 0, height) for b in (y0 + i * tall // size[0], y0 - (-(i + 1) * tall // size[0]))]
        columns = [np.clip(b, 0, width) for b in (x0 + j * wide // size[1], x0 - (-(j + 1) * wide // size[1]))]
        bin_ = feature[rows[0] : rows[1], columns[0] : columns[1]]
        result[i, j] = bin_.max(axis=(0, 1)) if bin_.size else 0
    return result


@pytest.mark.parametrize("run", [jax.jit, lambda f: f], ids=["jit", "eager"])
def test_roi_pool_equals_the_definition(run):
    features, rois = setup()
    found = run(lambda f, r: roi_pool(f, r, (3, 2), spatial_scale=SCALE))(jnp.array(features), jnp.array(rois))
    expected = [[plain_pool(f, box, (3, 2)) for box in boxes] for f, boxes in zip(features, rois, strict=True)]
    np.testing.assert_allclose(found, expected)


def test_roi_pool_sends_the_gradient_to_the_first_maximum():
    features = jnp.zeros((1, 4, 4, 1)).at[0, 2, 1].set(5.0).at[0, 2, 2].set(5.0).at[0, 3, 0].set(5.0)
    gradient = jax.grad(lambda f: roi_pool(f, jnp.array([[[0.0, 0, 3, 3]]]), (1, 1), spatial_scale=1.0).sum())(features)
    np.testing.assert_array_equal(gradient[0, :, :, 0], np.eye(4)[[3, 3, 1, 3]] * [[0], [0], [1], [0]])
