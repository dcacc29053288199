"""The counts beside an evaluation's figures."""

import numpy as np

from jaxvision.evals.evaluated import evaluated
from tests.evals.detection_cases import evaluate, random_batches


def test_images_and_objects_are_counted_without_padding_and_unread_images():
    batches = random_batches(3, images=8)
    real = [(batch["valid"] & batch["_mask"][:, None], batch["ignore"]) for _, batch in batches]
    metric = evaluated(9, left_out=2)
    found = evaluate(metric, batches)
    assert found == {
        "images": 6.0,
        "objects": float(sum(np.sum(there & ~ignore) for there, ignore in real)),
        "ignored_objects": float(sum(np.sum(there & ignore) for there, ignore in real)),
        "unread_images": 3.0,
        "left_out_annotations": 2.0,
    }
    states = [metric.update(metric.init(), *case) for case in batches]
    assert metric.result(metric.merge(*states)) == found
