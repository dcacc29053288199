"""What is kept is what was made the first time."""

import numpy as np
import pytest

from jaxvision.data.digits import digits
from jaxvision.data.latents import with_latents
from jaxvision.data.prepared import Prepared
from jaxvision.data.transforms import compose


class Counted:
    """Records that count how often they are read; the last is broken."""

    def __init__(self):
        self.inner, self.reads = digits("val", 5), []

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> dict:
        self.reads.append(index)
        if index == 4:
            raise ValueError("broken")
        return self.inner[index]

    def name(self, index: int) -> str:
        return self.inner.name(index)


def test_each_record_is_read_once_and_is_always_the_same():
    counted = Counted()
    records = Prepared(counted, with_latents(compose(), 3))
    first, other, again = records[1], records[2], records[1]
    assert counted.reads == [1, 2] and len(records) == 5 and records.name(1) == counted.inner.name(1)
    np.testing.assert_array_equal(first["z"], again["z"])
    assert not np.array_equal(first["z"], other["z"])
    again["z"] = None  # a reader may change its own copy
    np.testing.assert_array_equal(records[1]["z"], first["z"])


def test_a_broken_record_stays_broken():
    records = Prepared(Counted(), compose())
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            records[4]
