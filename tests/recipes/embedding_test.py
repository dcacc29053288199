"""Batches that ask a classifier for its features too."""

from jaxvision.data import crops
from jaxvision.data.inputs import Inputs
from jaxvision.recipes.embedding import wanting_features


def test_every_batch_wants_features():
    inputs = Inputs()
    images = inputs.source("digits:count=8")["train[:5]"]
    opened = inputs.evaluate(images, wanting_features(crops.center_crop(8, 8)), 3)(0, 1)
    batches = list(opened)
    assert len(batches) == 2 and all(batch["embed"].shape == (3,) for batch in batches)
    assert all(batch["embed"].all() and batch["image"].shape == (3, 8, 8, 3) for batch in batches)
