import numpy as np
import pytest

from jaxvision.viz.confusion import confusion_matrix


def counts_of(k: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 3, (k, k)) + np.diag(rng.integers(0, 60, k))


@pytest.mark.parametrize("k", [1, 2, 20, 21, 61, 62, 250, 1000])
def test_any_number_of_classes(k):
    picture = confusion_matrix(counts_of(k), [f"class {i}" for i in range(k)])
    assert picture.dtype == np.uint8 and picture.shape[2] == 3
    assert max(picture.shape) < 1400


def matrix_of(picture: np.ndarray, side: int) -> np.ndarray:
    """The coloured cells: their top is fixed, and a frame of one pixel marks the left."""
    left = int(np.argmax(np.all(picture[63:-1] == (108, 117, 125), axis=2).sum(axis=0)))  # a full-height line
    return picture[64 : 64 + side, left + 1 : left + 1 + side]


def test_correct_is_blue_and_mistaken_red_by_the_fraction_of_the_row():
    picture = confusion_matrix(np.array([[50, 0], [1000, 0]]), ["a", "b"])
    cells = matrix_of(picture, 240)[5::120, 5::120].astype(int)  # a corner, away from the numbers
    assert cells[0, 0].tolist() == [21, 101, 192]
    assert cells[0, 1].tolist() == [255, 255, 255] == cells[1, 1].tolist()
    assert cells[1, 0].tolist() == [211, 47, 47]


def test_one_pixel_a_class_for_a_thousand():
    cells = matrix_of(confusion_matrix(np.eye(1000, dtype=int), [""] * 1000), 1000)
    np.testing.assert_array_equal(np.all(cells == (21, 101, 192), axis=2), np.eye(1000, dtype=bool))


def test_a_class_without_examples_is_grey():
    cells = matrix_of(confusion_matrix(np.array([[1, 1], [0, 0]]), ["a", "b"]), 240)
    assert np.all(cells[120:] == (233, 236, 239))


def test_no_examples_at_all():
    confusion_matrix(np.zeros((3, 3), int), ["a", "b", "c"])


@pytest.mark.parametrize("name", ["", "x" * 300, "漢字 Ωλ Привет", "two\nlines", "$math_{"])
def test_any_class_name(name):
    picture = confusion_matrix(counts_of(3), [name, "dog", "cat"])
    assert np.all(picture[:, :4] == 255) and np.all(picture[-4:] == 255)  # nothing runs into the edges


def test_large_counts():
    picture = confusion_matrix(counts_of(20) * 10**8, [str(i) for i in range(20)])
    assert picture.dtype == np.uint8


def test_a_name_for_each_class():
    with pytest.raises(ValueError, match="1 class names for 2 classes"):
        confusion_matrix(np.eye(2, dtype=int), ["a"])


def test_the_same_picture_every_time():
    names = [f"class {i}" for i in range(5)]
    np.testing.assert_array_equal(confusion_matrix(counts_of(5), names), confusion_matrix(counts_of(5), names))
