"""Batches by shape: what a plan knows of data that is not there."""

import numpy as np
import pytest

from jaxvision.data import stand_ins
from jaxvision.data.canvas import canvases
from jaxvision.data.crops import center_crop
from jaxvision.data.inputs import Inputs
from jaxvision.data.scenes import load

PLANNED = Inputs(shapes_only=True)


def test_a_batch_is_one_record_over_and_over_and_takes_its_room():
    source = PLANNED.source("tfds:imagenet2012")
    data = PLANNED.train(source["train"], center_crop(224, 256), 4096)
    (batch,) = data(0, 2)
    assert batch["image"].shape == (2048, 224, 224, 3) and batch["image"].dtype == np.uint8
    assert batch["image"].strides[0] == 0 and batch["label"].shape == (2048,) and "_mask" not in batch
    assert source.num_classes == 1000 and len(source["train"]) == 1_281_167


@pytest.mark.parametrize(("spec", "classes"), [("voc:a/VOC2007+voc:b/VOC2012", 21), ("coco:somewhere", 81)])
def test_detectors_find_objects_with_masks_in_them(spec: str, classes: int):
    source = PLANNED.source(spec, "masks" if spec.startswith("coco") else "boxes")
    assert source.num_classes == classes
    (batch,) = PLANNED.train(source["train"], canvases(600, 1000).train(8, mask_size=14), 2)(0, 1)
    assert batch["image"].shape == (2, 608, 1024, 3)
    assert batch["valid"].sum() == 6 and batch["masks"].shape == (2, 8, 14, 14)


def test_arrays_are_those_that_are_read_of_data_that_is_there():
    whole, first = Inputs(), PLANNED.source("scenes:count=8,size=64")
    transform = canvases(64, 64).train(8, flip=0.0)
    real = next(whole.train(first["train"], transform, 4)(0, 1))
    (planned,) = PLANNED.train(load("scenes:count=8,size=64")["train"], transform, 4)(0, 1)
    of = [{key: (value.shape, value.dtype) for key, value in batch.items()} for batch in (real, planned)]
    assert of[0] == of[1]


def test_what_is_not_known_has_to_be_there():
    assert stand_ins.source("folder:somewhere") is None
    with pytest.raises(ValueError, match="--data=folder:nowhere"):
        PLANNED.source("folder:nowhere", "labels")


def test_it_ends_after_one_batch():
    (batch,) = PLANNED.evaluate(PLANNED.source("digits")["val"], center_crop(8, 8), 4)(0, 1)
    assert batch["_mask"].shape == (4,)
