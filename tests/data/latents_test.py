"""Latents of records: in range, of the prior, and in evaluation the same every time."""

import numpy as np
import pytest

from jaxvision.data import pipeline
from jaxvision.data.crops import center_crop
from jaxvision.data.digits import digits
from jaxvision.data.latents import with_latents
from jaxvision.data.transforms import FromFile, compose


def batches(**fields) -> list[dict]:
    return list(pipeline.evaluate(digits("val", 12), with_latents(compose(), **fields), 8)(0, 1))


def test_evaluation_draws_the_same_latents_each_time():
    first, again = batches(dim=5), batches(dim=5)
    assert first[0]["z"].shape == (8, 5) and first[0]["z"].dtype == np.float32
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one["z"], other["z"])
    rows = np.concatenate([b["z"][b["_mask"]] for b in first])
    assert len(np.unique(rows, axis=0)) == 12


def test_priors():
    transform, rng = with_latents(compose(), 20000), np.random.default_rng(0)
    z = transform({}, rng)["z"]
    assert z.min() >= -1 and z.max() < 1
    np.testing.assert_allclose([z.mean(), z.var()], [0, 1 / 3], atol=0.02)
    z = with_latents(compose(), 20000, "normal")({}, rng)["z"]
    np.testing.assert_allclose([z.mean(), z.var()], [0, 1], atol=0.03)


def test_the_transform_comes_first_and_may_decode():
    transform = with_latents(center_crop(4, resize=4), 3)
    assert isinstance(transform, FromFile)
    record = transform(digits("val", 1)[0], np.random.default_rng(0))
    assert set(record) == {"image", "label", "z"} and record["image"].shape == (4, 4, 3)


def test_no_latent():
    with pytest.raises(ValueError, match="a latent of 0 numbers; give at least 1"):
        with_latents(compose(), 0)
