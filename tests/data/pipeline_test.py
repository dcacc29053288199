import collections
import dataclasses
import json
import re

import numpy as np
import pytest
from absl import logging
from PIL import Image

from jaxvision.data import crops, pipeline, sources, transforms
from jaxvision.data.image_files import image_files
from jaxvision.data.order import GroupedByShape
from jaxvision.data.records import INDEX, NOTE, Subset


@dataclasses.dataclass(frozen=True)
class Numbers:
    """Records that are their index; those in `broken` cannot be read."""

    count: int
    broken: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict:
        if index in self.broken:
            raise (OSError if index % 2 else ValueError)(f"torn at {index}")
        return {"label": index}

    def name(self, index: int) -> str:
        return f"number {index}"


def keep(record: dict, rng: np.random.Generator) -> dict:
    return {**record, "noise": rng.random()}


def take(iterator, count: int) -> list[dict]:
    return [next(iterator) for _ in range(count)]


def labels(batches: list[dict]) -> list[int]:
    return [int(label) for batch in batches for label in batch["label"]]


def assert_same(first: list[dict], second: list[dict]) -> None:
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert one.keys() == other.keys()
        for key in one:
            np.testing.assert_array_equal(one[key], other[key])


def test_an_epoch_holds_every_record_once():
    seen = labels(take(pipeline.train(Numbers(12), keep, 4, seed=0)(0, 1), 9))
    for epoch in range(3):
        assert sorted(seen[12 * epoch : 12 * epoch + 12]) == list(range(12))
    assert seen[:12] != seen[12:24]


def test_batches_run_across_epochs():
    seen = labels(take(pipeline.train(Numbers(10), keep, 4, seed=0)(0, 1), 10))
    assert collections.Counter(seen) == dict.fromkeys(range(10), 4)
    few = labels(take(pipeline.train(Numbers(3), keep, 8, seed=0)(0, 1), 3))
    assert collections.Counter(few) == dict.fromkeys(range(3), 8)


@pytest.mark.parametrize("shards", [2, 3, 6])
def test_the_global_batch_is_the_same_for_any_number_of_processes(shards):
    data = pipeline.train(Numbers(17, frozenset({2, 11})), keep, 12, seed=5)
    whole = take(data(0, 1), 5)
    parts = [take(data(shard, shards), 5) for shard in range(shards)]
    joined = [{k: np.concatenate([part[i][k] for part in parts]) for k in whole[i]} for i in range(5)]
    assert_same(joined, whole)


def test_seeds_differ_and_repeat():
    first, again, other = (take(pipeline.train(Numbers(50), keep, 10, seed=s)(0, 1), 3) for s in (1, 1, 2))
    assert_same(first, again)
    assert labels(first) != labels(other)
    assert not np.array_equal(first[0]["noise"], other[0]["noise"])
    # A record's second epoch is augmented anew.
    noise = collections.defaultdict(set)
    for batch in take(pipeline.train(Numbers(5), keep, 5, seed=0)(0, 1), 4):
        for label, value in zip(batch["label"], batch["noise"], strict=True):
            noise[int(label)].add(float(value))
    assert all(len(values) == 4 for values in noise.values())


def test_resume_is_exact_and_the_state_is_integers():
    data = pipeline.train(Numbers(11), keep, 4, seed=3)
    straight = take(data(0, 1), 9)
    for stop in (0, 1, 5):
        first = data(0, 1)
        take(first, stop)
        state = json.loads(json.dumps(first.get_state()))
        assert all(type(value) is int for value in state.values())
        second = data(0, 1)
        take(second, 2)
        second.set_state(state)
        assert second.get_state() == state
        assert_same(take(second, 9 - stop), straight[stop:])
        halves = [data(shard, 2) for shard in range(2)]
        for half in halves:
            half.set_state(state)
        assert np.concatenate([next(half)["label"] for half in halves]).tolist() == straight[stop]["label"].tolist()


def test_a_state_of_other_data_is_refused():
    state = pipeline.train(Numbers(11), keep, 4, seed=3)(0, 1).get_state()
    for records, batch_size, seed, field in (
        (Numbers(12), 4, 3, "records"),
        (Numbers(11), 2, 3, "batch_size"),
        (Numbers(11), 4, 0, "seed"),
    ):
        with pytest.raises(ValueError, match=f"^checkpoint was made with {field}=[^\n]+$"):
            pipeline.train(records, keep, batch_size, seed=seed)(0, 1).set_state(state)


def test_worker_processes_change_nothing_and_resume():
    source = sources.load("digits:count=40")
    transform = transforms.compose(crops.crop_pad(8, 2), transforms.horizontal_flip())
    records = source["train"]
    straight = take(pipeline.train(records, transform, 8, seed=1)(0, 1), 7)
    workers = pipeline.train(records, transform, 8, seed=1, workers=2)(0, 1)
    workers.set_state({**workers.get_state(), "step": 2})
    batches = take(workers, 5)
    workers.close()
    assert_same(batches, straight[2:])
    assert all(type(value) is np.ndarray for batch in batches for value in batch.values())
    assert workers.get_state()["step"] == 7


def test_evaluation_in_worker_processes_ends_and_reports():
    records = Numbers(5, frozenset({1}))
    iterator = pipeline.evaluate(records, keep, 4, workers=1)(0, 1)
    batches = list(iterator)
    iterator.close()
    assert_same(batches, list(pipeline.evaluate(records, keep, 4)(0, 1)))
    assert iterator.skipped == {"number 1": "torn at 1"}


def test_broken_records_are_replaced_by_the_next_and_logged_once(monkeypatch):
    lines = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: lines.append(text % values))
    broken = frozenset({3, 8})
    iterator = pipeline.train(Numbers(10, broken), keep, 5, seed=0)(0, 1)
    batches = take(iterator, 8)
    sound = take(pipeline.train(Numbers(10), keep, 5, seed=0)(0, 1), 9)
    order = labels(sound)
    expected = [next(x for x in order[p:] if x not in broken) for p in range(40)]
    assert labels(batches) == expected
    assert batches[0].keys() == {"label", "noise"}
    np.testing.assert_array_equal(batches[3]["noise"], sound[3]["noise"])  # the others keep their randomness
    assert iterator.skipped == {"number 3": "torn at 3", "number 8": "torn at 8"}
    assert sorted(lines) == ["skipped record 1: " + lines[0][18:], "skipped record 2: " + lines[1][18:]]
    assert all(re.search(r": number [38]: torn at [38]$", line) for line in lines)


def test_data_that_are_read_twice_log_a_record_once(monkeypatch):
    lines = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: lines.append(text % values))
    data = pipeline.evaluate(Numbers(5, frozenset({1})), keep, 4)
    for _ in range(2):
        iterator = data(0, 1)
        list(iterator)
        assert iterator.skipped == {"number 1": "torn at 1"}
    assert lines == ["skipped record 1: number 1: torn at 1"]


def test_strict_names_the_broken_record():
    for data in (
        pipeline.train(Numbers(4, frozenset({2})), keep, 4, seed=0, strict=True),
        pipeline.evaluate(Numbers(4, frozenset({2})), keep, 4, strict=True),
    ):
        with pytest.raises(ValueError, match="^number 2: torn at 2$"):
            next(data(0, 1))


@pytest.mark.parametrize("count", [1, 3, 500])
def test_data_of_which_nothing_can_be_read_is_an_error(count):
    records = Numbers(count, frozenset(range(count)))
    for data in (pipeline.train(records, keep, 4, seed=0), pipeline.evaluate(records, keep, 4)):
        with pytest.raises(
            ValueError, match=r"^\d+ records in a row cannot be read; the first is number \d+: torn[^\n]+$"
        ):
            next(data(0, 1))


def test_no_records_and_uneven_batches_are_errors():
    for make in (pipeline.evaluate, lambda *a: pipeline.train(*a, seed=0)):
        with pytest.raises(ValueError, match="no records"):
            make(Numbers(0), keep, 4)
        with pytest.raises(ValueError, match="batch_size=4 does not divide evenly over 3"):
            make(Numbers(9), keep, 4)(0, 3)


@pytest.mark.parametrize("count", [1, 4, 7, 12, 13, 24, 29])
@pytest.mark.parametrize("shards", [1, 2, 4, 12])
def test_evaluation_counts_each_record_once_over_all_shards(count, shards):
    data = pipeline.evaluate(Numbers(count), keep, 12)
    shares = [list(data(shard, shards)) for shard in range(shards)]
    assert {len(share) for share in shares} == {-(-count // 12)}
    seen = []
    for share in shares:
        for batch in share:
            assert batch["_mask"].shape == batch["label"].shape == (12 // shards,) and batch["_mask"].dtype == np.bool_
            seen += batch["label"][batch["_mask"]].tolist()
            assert set(batch["label"].tolist()) <= set(range(count))  # padding is copies
    assert sorted(seen) == list(range(count))


def test_evaluation_masks_out_broken_records():
    iterator = pipeline.evaluate(Numbers(6, frozenset({0, 1, 2, 4})), keep, 2)(0, 1)
    batches = list(iterator)
    assert [batch["_mask"].tolist() for batch in batches] == [[False, False], [False, True], [False, True]]
    assert labels(batches) == [3, 3, 3, 3, 5, 5]
    assert set(iterator.skipped) == {"number 0", "number 1", "number 2", "number 4"}


def test_the_order_can_be_replaced():
    def pairs(position: int, attempt: int = 0) -> int:
        return (position // 2) % 3 + 3 * (attempt % 2)

    iterator = pipeline.train(Numbers(6, frozenset({1})), keep, 2, seed=0, order=pairs)(0, 1)
    assert labels(take(iterator, 4)) == [0, 0, 4, 4, 2, 2, 0, 0]


def test_transforms_decode_from_the_file_where_they_can(tmp_path):
    for index in range(4):
        Image.fromarray(np.full((40, 40, 3), 60 * index, np.uint8)).save(tmp_path / f"{index}.jpg")
    (tmp_path / "4.jpg").write_bytes((tmp_path / "3.jpg").read_bytes()[:300])
    records = image_files(str(tmp_path))
    for transform in (crops.center_crop(8), transforms.compose(crops.inception_crop(8), transforms.horizontal_flip())):
        iterator = pipeline.evaluate(records, transform, 5)(0, 1)
        batch = next(iterator)
        assert batch["image"].shape == (5, 8, 8, 3) and batch["_mask"].tolist() == [True] * 4 + [False]
        assert np.abs(batch["image"][:4, 4, 4, 0].astype(int) - [0, 60, 120, 180]).max() <= 2
        assert list(iterator.skipped) == [str(tmp_path / "4.jpg")]
    assert isinstance(crops.center_crop(8), transforms.FromFile)


def test_bugs_in_a_transform_are_not_taken_for_broken_records():
    def buggy(record: dict, rng: np.random.Generator) -> dict:
        return {"label": record["lable"]}

    with pytest.raises(KeyError, match="lable"):
        next(pipeline.train(Numbers(4), buggy, 2, seed=0)(0, 1))


@dataclasses.dataclass(frozen=True)
class Shapes:
    """Records whose image is as high as their group's number says, and which cannot be read where `broken`."""

    groups: tuple[int, ...]
    broken: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, index: int) -> dict:
        if index in self.broken:
            raise ValueError("torn")
        return {"image": np.zeros((self.groups[index] + 1, 2, 3), np.uint8), "label": index}

    def name(self, index: int) -> str:
        return f"shape {index}"


def test_grouped_batches_shard_and_resume_exactly():
    groups = np.array([0, 1, 1, 0, 0, 2, 0, 0, 1, 0, 0])
    records = Shapes(tuple(groups.tolist()), frozenset({3, 5, 8}))  # 5 is the only one of its group
    data = pipeline.train(records, keep, 4, seed=2, order=GroupedByShape(groups, 4, 2))
    whole = take(data(0, 1), 24)
    assert {batch["image"].shape[1] for batch in whole} == {1, 2}
    assert set(labels(whole)) == set(range(11)) - {3, 5, 8}
    parts = [take(data(shard, 2), 24) for shard in range(2)]
    assert_same([{k: np.concatenate([part[i][k] for part in parts]) for k in whole[i]} for i in range(24)], whole)
    resumed = data(0, 1)
    resumed.set_state({**resumed.get_state(), "step": 9})
    assert_same(take(resumed, 15), whole[9:])


@pytest.mark.parametrize("shards", [1, 2, 4])
@pytest.mark.parametrize("broken", [frozenset(), frozenset({0, 5, 6}), frozenset({0, 1, 3, 4, 7, 9, 10})])
def test_grouped_evaluation_counts_each_record_once(shards, broken):
    groups = np.array([1, 0, 0, 1, 1, 2, 0, 1, 0, 1, 1])
    data = pipeline.evaluate(Shapes(tuple(groups.tolist()), broken), keep, 4, groups=groups)
    shares = [list(data(shard, shards)) for shard in range(shards)]
    assert {len(share) for share in shares} == {1 + 2 + 1}
    for batches in zip(*shares, strict=True):
        assert len({batch["image"].shape for batch in batches}) == 1
    seen = [int(i) for share in shares for batch in share for i in batch["label"][batch["_mask"]]]
    assert sorted(seen) == sorted(set(range(11)) - broken)


def test_transforms_know_the_index_and_may_leave_a_note(monkeypatch):
    lines = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: lines.append(text % values))

    def note(record: dict, rng: np.random.Generator) -> dict:
        return {**record, "twice": 2 * record[INDEX], **({NOTE: "cut short"} if record[INDEX] == 1 else {})}

    subset = Subset(Numbers(9), np.array([7, 4, 2]))
    for data in (pipeline.train(subset, note, 3, seed=0), pipeline.evaluate(subset, note, 3)):
        iterator = data(0, 1)
        batch = take(iterator, 1)[0]
        assert {int(label): int(twice) for label, twice in zip(batch["label"], batch["twice"], strict=True)} == {
            7: 0,
            4: 2,
            2: 4,
        }
        assert batch.keys() <= {"label", "twice", "_mask"}
        assert iterator.notes == {"number 4": "cut short"} and not iterator.skipped
    assert lines == ["incomplete record 1: number 4: cut short"] * 2
    with pytest.raises(ValueError, match="^number 4: cut short$"):
        next(pipeline.evaluate(subset, note, 3, strict=True)(0, 1))


def test_a_batch_is_read_by_itself_as_it_will_come():
    data = pipeline.train(Numbers(12), keep, 4, seed=0)
    iterator = data(0, 1)
    assert_same([iterator.at(2), iterator.at(0)], [take(data(0, 1), 3)[2], take(data(0, 1), 1)[0]])
    assert iterator.get_state()["step"] == 0
