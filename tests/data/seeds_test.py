"""Seeds belong to records."""

import numpy as np

from jaxvision.data import crops, digits, pipeline
from jaxvision.data.seeds import with_seed


def test_evaluation_gives_a_record_the_same_seed_whatever_the_batch():
    records = digits.load("digits:count=12")["val"]
    transform = with_seed(crops.center_crop(8, 8))
    read = [list(pipeline.evaluate(records, transform, size)(0, 1)) for size in (4, 6)]
    seeds = [np.concatenate([b["seed"] for b in batches]) for batches in read]
    np.testing.assert_array_equal(*seeds)
    assert seeds[0].dtype == np.uint32 and len(np.unique(seeds[0])) == 12
    assert read[0][0]["image"].shape == (4, 8, 8, 3)
