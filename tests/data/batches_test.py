import pickle

import numpy as np
import pytest

from jaxvision.data import batches


def test_rows_are_written_into_arrays_that_jax_takes_as_they_are():
    rows = batches.Rows(3)
    for row in range(3):
        rows.put(row, {"image": np.full((2, 2, 3), row, np.uint8), "label": row, "weight": 0.5, "ok": True})
    arrays = rows.arrays
    assert {key: str(value.dtype) for key, value in arrays.items()} == {
        "image": "uint8",
        "label": "int32",
        "weight": "float32",
        "ok": "bool",
    }
    assert arrays["image"].shape == (3, 2, 2, 3) and arrays["label"].tolist() == [0, 1, 2]


def test_rows_of_unlike_records_are_refused():
    for other in ({"image": np.zeros((1, 2, 3), np.uint8)}, {"image": np.zeros(3, np.uint8), "label": 1}, {}):
        rows = batches.Rows(2)
        rows.put(0, {"image": np.zeros((2, 2, 3), np.uint8)})
        with pytest.raises(batches.DataError, match="records of one batch differ: [^\n]*fix the transform"):
            rows.put(1, other)


def test_rows_repeat():
    rows = batches.Rows(4)
    rows.put(1, {"label": 7})
    rows.repeat(1, np.array([True, False, True, True]))
    assert rows.arrays["label"].tolist() == [7, 7, 7, 7]


class Broken:
    """One record that cannot be read."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> dict:
        raise ValueError("torn")

    def name(self, index: int) -> str:
        return "a.jpg"


def test_names_are_not_said_twice():
    assert batches.named(Broken(), 0, "a.jpg: torn") == "a.jpg: torn"
    assert batches.named(Broken(), 0, "torn") == "a.jpg: torn"


def test_errors_cross_processes_as_values():
    reader = batches.Reader(Broken(), lambda record, rng: record, 0, True)
    loaded = batches.Reporting(batches.EvalBatches(reader, 2, 0, 1))[0]
    assert pickle.loads(pickle.dumps(loaded)) == batches.Loaded({}, {}, "a.jpg: torn")
