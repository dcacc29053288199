"""The ring of Gaussians has the means and deviations it says it has."""

import numpy as np
import pytest

from jaxvision.data import mixture, pipeline, sources
from jaxvision.data.latents import with_latents
from jaxvision.data.transforms import compose


def test_points_are_normal_around_their_modes():
    split = sources.load("mixture:count=8000")["train"]
    offsets = split.points - mixture.centers(8)[split.labels]
    np.testing.assert_allclose(offsets.std(axis=0), mixture.SIGMA, rtol=0.05)
    np.testing.assert_allclose(offsets.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(np.bincount(split.labels) / 8000, 1 / 8, atol=0.02)


def test_means_are_on_a_circle_and_evenly_spaced():
    means = mixture.centers(5)
    np.testing.assert_allclose(means[0], [mixture.RADIUS, 0], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(means, axis=1), mixture.RADIUS, rtol=1e-6)
    gaps = np.linalg.norm(means - np.roll(means, 1, axis=0), axis=1)
    np.testing.assert_allclose(gaps, gaps[0], rtol=1e-5)


def test_records_and_options():
    source = sources.load("mixture:modes=3,count=40")
    assert source.num_classes == 3 and len(source["train"]) == 40 and len(source["val"]) == 10
    record = source["train"][7]
    assert record["image"].shape == (2,) and record["image"].dtype == np.float32 and type(record["label"]) is int
    np.testing.assert_array_equal(record["image"], sources.load("mixture:modes=3,count=40")["train"][7]["image"])
    assert not np.isin(source["val"].points, source["train"].points).any()
    assert source["val"].name(2) == "mixture/2"
    with pytest.raises(ValueError, match="--data=mixture:sigma=1: cannot read 'sigma=1'"):
        sources.load("mixture:sigma=1")


def test_points_reach_batches():
    data = pipeline.train(sources.load("mixture:count=40")["train"], with_latents(compose(), 4), 16, seed=0)
    batch = next(data(0, 1))
    assert {k: (v.shape, v.dtype) for k, v in batch.items()} == {
        "image": ((16, 2), np.float32),
        "label": ((16,), np.int32),
        "z": ((16, 4), np.float32),
    }
