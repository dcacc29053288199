import numpy as np

from jaxvision.data import region_features
from jaxvision.data.region_features import binned, describe, neighbours

LABELS = np.array([[0, 0, 1, 1], [0, 2, 2, 1], [3, 3, 3, 3]], np.int32)


def test_neighbours_touch_along_a_side():
    assert neighbours(LABELS).tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    diagonal = np.array([[0, 1], [2, 0]], np.int32)
    assert neighbours(diagonal).tolist() == [[0, 1], [0, 2]]
    assert neighbours(np.zeros((3, 3), np.int32)).shape == neighbours(np.zeros((1, 1), np.int32)).shape == (0, 2)


def test_sizes_and_boxes():
    found = describe(LABELS, binned(np.zeros((3, 4, 1), np.float32)))
    assert found.sizes.tolist() == [3, 3, 2, 4]
    assert found.boxes.tolist() == [[0, 0, 2, 2], [2, 0, 4, 2], [1, 1, 3, 2], [0, 2, 4, 3]]


def test_histograms_are_those_of_plain_loops():
    rng = np.random.default_rng(0)
    pixels, labels = rng.random((9, 7, 2), np.float32), rng.integers(0, 4, (9, 7)).astype(np.int32)
    found = describe(labels, binned(pixels))
    for region in range(4):
        inside = pixels[labels == region]
        counts = [np.histogram(inside[:, c], bins=25, range=(0, 1))[0] for c in (0, 1)]
        np.testing.assert_allclose(found.colors[region], np.concatenate(counts) / (2 * len(inside)), rtol=1e-5)
    assert found.textures.shape == (4, 2 * 8 * 10)
    np.testing.assert_allclose(found.textures.sum(axis=1), 1, rtol=1e-5)
    # Of each direction and its opposite, one derivative is in the lowest bin at every pixel.
    both = found.textures.reshape(4, 2, 8, 10)
    assert (both[:, 0, :, 0] + both[:, 1, :, 0] >= 1 / 16 - 1e-6).all()


def test_texture_follows_the_direction_of_an_edge():
    rows, columns = np.zeros((2, 20, 20, 1), np.float32)
    rows[10:], columns[:, 10:] = 1, 1
    one = np.zeros((20, 20), np.int32)
    # Orientations: 0°, 45°, 90°, 135° and then their opposites; 90° points down.
    down, right = (describe(one, binned(image)).textures.reshape(8, 10) for image in (rows, columns))
    strong = [histograms[:, 6:].sum(axis=1) > 0 for histograms in (down, right)]
    assert strong[0].tolist() == [False, True, True, True, False, False, False, False]
    assert strong[1].tolist() == [True, True, False, False, False, False, False, True]
    up = describe(one, binned(1 - rows)).textures.reshape(8, 10)
    np.testing.assert_allclose(up, np.roll(down, 4, axis=0), atol=1e-6)


def test_even_regions_have_one_bin():
    found = describe(np.zeros((5, 5), np.int32), binned(np.full((5, 5, 3), 1.0, np.float32)))
    assert found.colors.max() == np.float32(1 / 3) and (found.colors > 0).sum() == 3
    textures = found.textures.reshape(3, 8, region_features.TEXTURE_BINS)
    np.testing.assert_allclose(textures[..., 0], 1 / 24, rtol=1e-5)
