import numpy as np
import pytest
from sklearn import datasets

from jaxvision.data import digits


def test_digits_are_scikit_learns():
    source = digits.load("digits")
    bunch = datasets.load_digits()
    train, val = source["train"], source["val"]
    assert len(train) + len(val) == 1797 and not set(train.ids) & set(val.ids)
    for index in (0, 700):
        record = train[index]
        assert record["image"].shape == (8, 8, 3) and record["image"].dtype == np.uint8
        np.testing.assert_allclose(record["image"][..., 1], bunch.images[train.ids[index]] * 255 / 16, atol=0.5)
        assert record["label"] == bunch.target[train.ids[index]]
        assert train.name(index) == f"digits/{train.ids[index]}"
    assert train.images.max() == 255


def test_each_class_is_split_four_to_one():
    source = digits.load("digits")
    train, val = np.bincount(source["train"].labels), np.bincount(source["val"].labels)
    np.testing.assert_allclose(train / (train + val), 0.8, atol=0.005)


def test_count_keeps_the_first_of_each_split():
    few, everything = digits.load("digits:count=64"), digits.load("digits")
    for split in ("train", "val"):
        assert len(few[split]) == 64
        np.testing.assert_array_equal(few[split].labels, everything[split].labels[:64])
    assert set(few["train"].labels) == set(range(10))
    with pytest.raises(ValueError, match="--data=digits:size=3"):
        digits.load("digits:size=3")


def test_mean_and_std_are_those_of_the_training_split():
    images = digits.load("digits")["train"].images
    assert abs(images.mean() - digits.MEAN[0]) < 0.1 and abs(images.std() - digits.STD[0]) < 0.1
    assert digits.load("digits").class_names == tuple("0123456789")
