"""The ink tells the digit, its lightness does not."""

import numpy as np
import pytest
from skimage import color

from jaxvision.data import digits, tinted


def test_inks_are_equally_light_and_have_ten_hues():
    lab = color.rgb2lab(tinted.INKS[None] / 255)[0]
    np.testing.assert_allclose(lab[:, 0], 65, atol=0.3)
    hues = np.rad2deg(np.arctan2(lab[:, 2], lab[:, 1])) % 360
    np.testing.assert_allclose((hues - 36 * np.arange(10) + 180) % 360, 180, atol=3)


def test_images_are_the_digits_in_their_inks():
    source, grey = tinted.load("tinted"), digits.load("digits")
    for split in ("train", "val"):
        assert len(source[split]) == len(grey[split])
    record, plain = source["train"][3], grey["train"][3]
    assert record["label"] == plain["label"] and record["image"].dtype == np.uint8
    ink = tinted.INKS[record["label"]]
    np.testing.assert_allclose(record["image"], plain["image"] / 255 * ink, atol=0.51)
    assert source["train"].name(3) == grey["train"].name(3).replace("digits", "tinted")
    assert len(tinted.load("tinted:count=7")["val"]) == 7
    with pytest.raises(ValueError, match="--data=tinted:size=3"):
        tinted.load("tinted:size=3")


def test_mean_and_std_are_those_of_the_training_split():
    train = tinted.load("tinted")["train"]
    images = np.stack([train[i]["image"] for i in range(len(train))]).astype(float)
    np.testing.assert_allclose(images.mean((0, 1, 2)), tinted.MEAN, atol=0.1)
    np.testing.assert_allclose(images.std((0, 1, 2)), tinted.STD, atol=0.1)
