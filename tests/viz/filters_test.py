import numpy as np
import pytest

from jaxvision.viz.filters import filters
from jaxvision.viz.grid import GAP


def kernel(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_colour_filters_form_a_square():
    picture = filters(kernel(7, 7, 3, 10))
    assert picture.shape == (GAP + 3 * (56 + GAP), GAP + 4 * (56 + GAP), 3)
    assert picture.dtype == np.uint8


def test_each_filter_is_normalised_about_mid_grey():
    weights = np.zeros((8, 8, 3, 2), np.float32)
    weights[0, 0, 0, 0], weights[0, 1, 1, 0], weights[0, 0, 2, 1] = 2.0, -1.0, -1e-3
    picture = filters(weights)
    first, second = picture[GAP : GAP + 56, GAP:], picture[GAP : GAP + 56, GAP + 56 + GAP :]
    assert first[0, 0].tolist() == [255, 128, 128]
    assert first[0, 7].tolist() == [128, 64, 128]
    assert second[0, 0].tolist() == [128, 128, 0]


@pytest.mark.parametrize(("cin", "cout", "across", "down"), [(1, 16, 4, 4), (4, 6, 4, 6), (2, 1, 2, 1), (1, 1, 1, 1)])
def test_other_inputs_are_grey_with_a_row_for_each_filter(cin, cout, across, down):
    weights = kernel(8, 8, cin, cout)
    picture = filters(weights)
    assert picture.shape == (GAP + down * (56 + GAP), GAP + across * (56 + GAP), 3)
    assert np.all(picture[..., :1] == picture)
    last = picture[-GAP - 56 : -GAP : 7, -GAP - 56 : -GAP : 7, 0]
    filt = weights[..., -1]
    np.testing.assert_array_equal(last, np.round(127.5 + 127.5 * filt[..., -1] / np.abs(filt).max()))


def test_a_filter_of_zeros_is_grey():
    assert set(np.unique(filters(np.zeros((3, 3, 3, 1), np.float32)))) == {128, 255}


def test_a_deep_kernel_is_refused_with_a_remedy():
    with pytest.raises(ValueError, match=r"pass a part"):
        filters(np.zeros((3, 3, 128, 64), np.float32))
