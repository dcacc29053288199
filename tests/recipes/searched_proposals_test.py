"""Proposals that are searched for before a detector sees them: where they are kept, and that they are of its images."""

import dataclasses
from pathlib import Path

import numpy as np

from experiments.detection import fast_rcnn
from jaxvision.data import sources
from jaxvision.data.inputs import Inputs
from jaxvision.data.proposals import propose
from jaxvision.recipes.searched_proposals import SelectiveSearchFlags, search_split, search_when_read


def test_every_data_set_has_proposals_of_its_own(tmp_path: Path):
    inputs, search = Inputs(seed=3, workdir=tmp_path), SelectiveSearchFlags(most=5)
    for data in ("scenes:count=4,size=32", "scenes:count=4,size=48"):  # whose images have the same names
        records = sources.load(data)["train"]
        for split in ("train", "train[:2]", "train"):
            found = search_split(inputs, data, split, records, search)
            np.testing.assert_array_equal(found[1], propose(records[1]["image"], "fast", 3, 5))
    folders = sorted(path.name.partition("-")[0] for path in inputs.folder("proposals").iterdir())
    assert folders == ["train"] * 4


def test_a_run_may_be_evaluated_on_other_images(tmp_path: Path):
    for data in ("scenes:count=8,size=64", "scenes:count=8,size=64,objects=1"):
        config = dataclasses.replace(fast_rcnn.PRESETS["smoke"], data=data)
        stage = fast_rcnn.build(config, Inputs(workdir=tmp_path)).stages[-1]
        assert stage.data is not None
        batch = next(stage.data(0, 1))
        image = sources.load(data)["val"][0]["image"]
        np.testing.assert_array_equal(batch["image"][0], image)
        valid = np.asarray(batch["proposal_valid"][0])
        np.testing.assert_array_equal(np.asarray(batch["proposals"][0])[valid], propose(image, "fast", 0, 16))


def test_a_users_images_are_searched_with_the_flags_when_they_are_read():
    records = sources.load("scenes:count=2,size=32")["train"]
    found = search_when_read(records, SelectiveSearchFlags("quality", most=7), seed=5)[1]
    np.testing.assert_array_equal(found["proposals"], propose(records[1]["image"], "quality", 5, 7))
    np.testing.assert_array_equal(found["image"], records[1]["image"])
