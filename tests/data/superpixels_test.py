import numpy as np
import pytest

from jaxvision.data import superpixels


def halves(height: int = 20, width: int = 30) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    image[:, width // 2 :] = (250, 40, 40)
    return image


def floats(image: np.ndarray) -> np.ndarray:
    return image.astype(np.float32) / 255


def test_felzenszwalb_parts_what_differs():
    labels = superpixels.felzenszwalb(floats(halves()), 100, sigma=0.0, min_size=10)
    expected = np.broadcast_to(np.arange(30) >= 15, (20, 30)).astype(np.int32)
    np.testing.assert_array_equal(labels, expected)


def test_felzenszwalb_joins_what_is_small():
    image = floats(halves())
    image[5:8, 5:8] = 0.5
    counts = [superpixels.felzenszwalb(image, 1, sigma=0.0, min_size=size).max() + 1 for size in (2, 12)]
    assert counts == [3, 2]


def test_a_larger_scale_gives_larger_regions():
    noise = np.random.default_rng(0).random((40, 40, 3), np.float32)
    counts = [superpixels.felzenszwalb(noise, scale, min_size=1).max() + 1 for scale in (10, 100, 1000)]
    assert counts[0] > counts[1] > counts[2]


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (3, 2)])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_tiny_and_even_images_are_one_region(shape: tuple[int, int], channels: int):
    labels = superpixels.felzenszwalb(np.full((*shape, channels), 0.3, np.float32), 50)
    assert labels.shape == shape and labels.dtype == np.int32 and not labels.any()


def test_slic_numbers_without_gaps():
    labels = superpixels.slic(halves(40, 60), 24)
    assert np.array_equal(np.unique(labels), np.arange(labels.max() + 1)) and 12 <= labels.max() + 1 <= 36
    sides = [set(np.unique(labels[:, :29])), set(np.unique(labels[:, 31:]))]
    assert not sides[0] & sides[1], "no superpixel crosses a sharp edge"
