"""Misalignment of known boxes, in pixels."""

import numpy as np
import pytest

from jaxvision.recipes.roi_misalignment import misaligned_objects


def data_of(*boxes: tuple[float, ...]):
    given = np.zeros((2, 3, 4), np.float32)
    given[0, : len(boxes)] = np.array(boxes).reshape(-1, 4)
    valid = np.arange(3)[None] < np.array([[len(boxes)], [0]])
    batch = {"image": np.full((2, 64, 64, 3), 90, np.uint8), "boxes": given, "valid": valid}

    def opened(shard: int, shards: int):
        yield batch

    return opened


def test_each_operation_is_measured_on_every_object():
    """The corners 16 and 33 are rounded to cells 2 and 4, of which RoIWarp takes all, to pixel 40."""
    result = misaligned_objects(data_of((16, 16, 33, 33), (16, 16, 33, 33)), stride=8, bins=1)
    assert result["misalignment/align"] == 0
    np.testing.assert_allclose(result["misalignment/warp"], np.hypot(28 - 24.5, 28 - 24.5), rtol=1e-5)
    np.testing.assert_allclose(result["misalignment/pool"], result["misalignment/warp"], rtol=1e-5)
    assert result["misalignment/pool_varying"] < 1e-5, "all objects are shifted alike"
    lines = result["misalignment"].splitlines()
    assert "2 objects" in lines[0] and "+3.50, +3.50" in lines[3] and len(lines) == 5
    assert result["misalignment_figure"].dtype == np.uint8


def test_what_varies_is_left_without_the_shift():
    result = misaligned_objects(data_of((16, 16, 33, 33), (20, 16, 44, 33)), stride=8, bins=2)
    assert 0 < result["misalignment/pool_varying"] < result["misalignment/pool"]


def test_images_without_objects_are_refused():
    with pytest.raises(ValueError, match="have no objects"):
        misaligned_objects(data_of(), stride=8, bins=2)
