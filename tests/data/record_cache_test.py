import numpy as np
import pytest

from jaxvision.data.record_cache import RecordCache


def made(calls: list[int], index: int, size: int = 100) -> dict:
    calls.append(index)
    return {"image": np.full(size, index, np.uint8), "label": index}


def test_records_are_made_once_while_there_is_room():
    cache, calls = RecordCache(limit=250), list[int]()
    for index in (3, 1, 3, 2, 1, 2):
        record = cache.get(index, lambda index=index: made(calls, index))
        assert record["label"] == index and (record["image"] == index).all()
    assert calls == [3, 1, 2, 2] and sorted(cache.records) == [1, 3] and cache.size == 200


def test_a_smaller_record_may_still_fit():
    cache, calls = RecordCache(limit=150), list[int]()
    for index, size in ((0, 100), (1, 100), (2, 50), (2, 50)):
        cache.get(index, lambda index=index, size=size: made(calls, index, size))
    assert calls == [0, 1, 2] and cache.size == 150


@pytest.mark.parametrize("limit", [0, 1000])
def test_arrays_cannot_be_changed_and_dicts_can(limit):
    cache, own = RecordCache(limit), np.zeros(3)
    for _ in range(2):
        record = cache.get(0, lambda: {"image": own})
        with pytest.raises(ValueError, match="read-only"):
            record["image"][0] = 1
        record.clear()
    own[0] = 0  # what `make` returned stays as it is


def test_what_cannot_be_made_is_not_kept():
    cache = RecordCache()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            cache.get(0, lambda: {"image": 1 / 0})
    assert not cache.records
