"""The launcher's flags reach the pipeline."""

from pathlib import Path

import numpy as np
import pytest

from jaxvision.data import sources
from jaxvision.data.crops import center_crop
from jaxvision.data.inputs import Inputs, Opened


class Broken:
    """Records of which none can be read."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> dict:
        raise ValueError("torn")

    def name(self, index: int) -> str:
        return f"record {index}"


def test_the_seed_decides_the_order():
    records, transform = sources.load("digits:count=32")["train"], center_crop(8, 8)
    firsts = [next(Inputs(seed).train(records, transform, 8)(0, 1))["label"] for seed in (0, 0, 1)]
    np.testing.assert_array_equal(firsts[0], firsts[1])
    assert not np.array_equal(firsts[0], firsts[2])


def test_strict_names_the_record():
    for opened in (
        Inputs(strict=True).train(Broken(), center_crop(8, 8), 2),
        Inputs(strict=True).evaluate(Broken(), center_crop(8, 8), 2),
    ):
        with pytest.raises(ValueError, match=r"record \d: torn"):
            next(opened(0, 1))


def test_groups_keep_to_batches_of_their_own():
    records, transform = sources.load("digits:count=32")["train"], center_crop(8, 8)
    groups = np.array([records[i]["label"] % 2 for i in range(len(records))])
    training = Inputs().train(records, transform, 4, groups)(0, 1)
    for batch in (*(next(training) for _ in range(6)), *Inputs().evaluate(records, transform, 4, groups)(0, 1)):
        assert len(set(batch["label"] % 2)) == 1


def test_a_stage_has_a_folder_of_its_own_in_the_workdir(tmp_path: Path):
    assert Inputs(workdir=tmp_path).folder("svm") == tmp_path / "artefacts" / "svm"


def test_imported_weights_say_how_pixels_are_seen_and_what_classes_there_are():
    inputs = Inputs(normalise=((1.0, 2.0, 3.0), (4.0, 5.0, 6.0)), class_names=("x", *"9876543210"))
    source = inputs.source("digits:count=32")
    assert source.mean == (1.0, 2.0, 3.0) and source.std == (4.0, 5.0, 6.0)
    assert source.class_names == ("x", *"9876543210")
    plain = sources.load("digits:count=32")["train"]
    assert [source["train"][i]["label"] for i in range(5)] == [10 - plain[i]["label"] for i in range(5)]
    assert inputs.source("none").class_names == inputs.source("none", "label_maps").class_names == inputs.class_names


def test_what_a_stage_left_has_a_size(tmp_path: Path):
    inputs = Inputs(workdir=tmp_path)
    assert inputs.megabytes("svm") == 0.0
    (inputs.folder("svm") / "deep").mkdir(parents=True)
    (inputs.folder("svm") / "deep" / "file").write_bytes(bytes(2_000_000))
    assert inputs.megabytes("svm") == 2.0


def test_experiments_of_one_run_read_the_source_once():
    one, other = Opened(seed=1), Opened(seed=2, workdir=Path("elsewhere"))
    assert one.source("digits:count=16") is other.source("digits:count=16")
    assert Inputs().source("digits:count=16") is not one.source("digits:count=16")
    assert Opened(class_names=("x", *"9876543210")).source("digits:count=16").class_names[0] == "x"
