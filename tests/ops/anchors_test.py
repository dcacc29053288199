import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import anchors

PUBLISHED = [
    [-83, -39, 100, 56], [-175, -87, 192, 104], [-359, -183, 376, 200],
    [-55, -55, 72, 72], [-119, -119, 136, 136], [-247, -247, 264, 264],
    [-35, -79, 52, 96], [-79, -167, 96, 184], [-167, -343, 184, 360],
]  # fmt: skip


def test_the_legacy_table_is_the_published_one():
    np.testing.assert_array_equal(anchors.legacy_table(), PUBLISHED)
    continuous = anchors.legacy_base_anchors()
    np.testing.assert_array_equal(continuous[3], [-56, -56, 72, 72])  # 128 pixels a side
    np.testing.assert_array_equal((continuous[:, :2] + continuous[:, 2:]) / 2, np.full((9, 2), 8))


def test_base_anchors_have_the_area_and_ratio_asked_for_and_are_centred():
    base = anchors.base_anchors((32.0, 100.0), (0.5, 1.0, 2.0))
    width, height = base[:, 2] - base[:, 0], base[:, 3] - base[:, 1]
    np.testing.assert_allclose(width * height, [32**2, 100**2] * 3, rtol=1e-5)
    np.testing.assert_allclose(height / width, [0.5, 0.5, 1, 1, 2, 2], rtol=1e-5)
    np.testing.assert_allclose(base[:, :2], -base[:, 2:])


def test_rounding_is_asked_for():
    np.testing.assert_array_equal(anchors.base_anchors((32.0,), (0.5,), rounded=True), [[-23, -11, 23, 11]])
    assert not np.allclose(anchors.base_anchors((32.0,), (0.5,)), [[-23, -11, 23, 11]])


def test_the_grid_runs_by_row_column_and_base_anchor():
    base = np.array([[-1, -1, 1, 1], [-2, -1, 2, 1]], np.float32)
    grid = anchors.grid(base, (2, 3), (16, 8))
    assert grid.shape == (12, 4)
    np.testing.assert_array_equal(grid[0], base[0])
    np.testing.assert_array_equal(grid[1], base[1])
    np.testing.assert_array_equal(grid[2], base[0] + [8, 0, 8, 0])
    np.testing.assert_array_equal(grid[6], base[0] + [0, 16, 0, 16])
    np.testing.assert_array_equal(anchors.grid(base, (2, 3), (16, 8), offset=0.5), grid + jnp.array([[4, 8, 4, 8]]))


def test_an_odd_offset_is_refused():
    with pytest.raises(ValueError, match=r"offset is 1\.0"):
        anchors.grid(anchors.legacy_base_anchors(), (1, 1), (16, 16), offset=1.0)


def test_floor_strides():
    assert anchors.floor_strides((800, 1344), ((25, 42), (13, 21))) == ((32, 32), (61, 64))


@pytest.mark.peer
def test_peer_torchvision_anchors():
    torch = pytest.importorskip("torch")
    generator_module = pytest.importorskip("torchvision.models.detection.anchor_utils")
    images = pytest.importorskip("torchvision.models.detection.image_list")
    canvas, shapes = (200, 336), ((50, 84), (25, 42), (13, 21), (7, 11), (4, 6))
    sizes, ratios = ((32.0,), (64.0,), (128.0,), (256.0,), (512.0,)), (0.5, 1.0, 2.0)
    generator = generator_module.AnchorGenerator(sizes, (ratios,) * 5)
    theirs = generator(
        images.ImageList(torch.zeros(1, 3, *canvas), [canvas]), [torch.zeros(1, 1, *shape) for shape in shapes]
    )[0]
    strides = anchors.floor_strides(canvas, shapes)
    bases = [anchors.base_anchors(size, ratios, rounded=True) for size in sizes]
    ours = [anchors.grid(base, *level) for base, *level in zip(bases, shapes, strides, strict=True)]
    np.testing.assert_array_equal(np.concatenate(ours), theirs.numpy())
