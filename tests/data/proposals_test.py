"""Proposals are made once, kept, and made again only where a file is missing or broken."""

import dataclasses
import errno
import multiprocessing
import os
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from jaxvision.data import proposals, sources
from jaxvision.data.proposals import PER_FILE, Proposed, Searched, Stored, propose, stored
from jaxvision.data.records import Record, Subset, extent, fetch


@dataclasses.dataclass(frozen=True)
class Squares:
    """Small images with a square each; those in `broken` cannot be read, and none may be read once `forbidden`."""

    count: int
    broken: tuple[int, ...] = ()
    forbidden: bool = False

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Record:
        assert not self.forbidden
        if index in self.broken:
            raise ValueError(f"{self.name(index)}: torn")
        image = np.full((24, 24, 3), 40, np.uint8)
        image[4 : 10 + index % 9, 5:15] = (200, 60, index)
        return {"image": image}

    def name(self, index: int) -> str:
        return f"squares/{index}.png"


def test_propose_is_deterministic_and_limited():
    image = sources.load("scenes:count=1,size=64")["train"][0]["image"]
    boxes = propose(image)
    np.testing.assert_array_equal(propose(image), boxes)
    np.testing.assert_array_equal(propose(image, max_boxes=7), boxes[:7])
    assert boxes.dtype == np.float32 and not np.array_equal(propose(image, seed=1)[:7], boxes[:7])
    assert sorted(map(tuple, propose(image, seed=1))) == sorted(map(tuple, boxes))  # another order of the same
    with pytest.raises(ValueError, match="strategy 'slow': choose of fast, quality, rcnn"):
        propose(image, "slow")


def test_stored_proposals_are_those_of_each_image(tmp_path: Path):
    records = Squares(PER_FILE + 3)
    found = stored(records, tmp_path, max_boxes=9, workers=0)
    assert len(found) == len(records) and sorted(p.name for p in tmp_path.glob("*.npz")) == ["00000.npz", "00001.npz"]
    for index in (0, PER_FILE - 1, PER_FILE, PER_FILE + 2):
        np.testing.assert_array_equal(found[index], propose(records[index]["image"], max_boxes=9))
    with pytest.raises(IndexError):
        found[PER_FILE + 3]
    again = stored(Squares(PER_FILE + 3, forbidden=True), tmp_path, max_boxes=9, workers=0)
    assert [len(boxes) for boxes in again] == [len(boxes) for boxes in found]


@dataclasses.dataclass(frozen=True)
class WithoutJax(Subset):
    """Unreadable where jax was imported."""

    def __getitem__(self, index: int) -> Record:
        if "jax" in sys.modules and multiprocessing.parent_process() is not None:
            raise ValueError("jax")
        return super().__getitem__(index)


def test_processes_find_the_same_without_jax(tmp_path: Path):
    records = WithoutJax(sources.load("scenes:count=40,size=32")["train"], np.arange(PER_FILE + 2))
    alone, together = (stored(records, tmp_path / str(workers), workers=workers) for workers in (0, 2))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


class Deadly(Squares):
    """Ends the worker that reads it, as the operating system does when memory is short."""

    def __getitem__(self, index: int) -> Record:
        if multiprocessing.parent_process() is not None:
            os._exit(9)
        return super().__getitem__(index)


def test_a_worker_that_is_ended_is_an_error_of_one_line(tmp_path: Path):
    with pytest.raises(ValueError, match="maybe for want of memory; take fewer --workers"):
        stored(Deadly(PER_FILE + 1), tmp_path, workers=1)


@pytest.mark.parametrize("harm", ["truncated", "emptied", "removed", "incomplete"])
def test_a_broken_file_is_made_again_with_a_line(tmp_path: Path, harm: str, caplog):
    found = list(stored(Squares(PER_FILE + 2), tmp_path, workers=0))
    broken, kept = tmp_path / "00001.npz", (tmp_path / "00000.npz").stat()
    content = broken.read_bytes()
    (tmp_path / "00002.tmp").write_bytes(b"of a run that was killed")
    if harm == "removed":
        broken.unlink()
    elif harm == "incomplete":
        np.savez(broken, **{str(PER_FILE): found[PER_FILE]})
    else:
        broken.write_bytes(content[: len(content) // 2 if harm == "truncated" else 0])
    again = stored(Squares(PER_FILE + 2), tmp_path, workers=0)
    for one, other in zip(again, found, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (tmp_path / "00000.npz").stat().st_mtime_ns == kept.st_mtime_ns
    lines = [r.getMessage() for r in caplog.records]
    assert lines == ([] if harm == "removed" else [f"{broken} is not whole, and is made again"])


def test_a_file_that_breaks_later_is_named(tmp_path: Path):
    found = stored(Squares(2), tmp_path, workers=0)
    (tmp_path / "00000.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match="00000.npz: cannot be read .*; delete it"):
        found[0]


def test_images_that_cannot_be_read_have_none_and_are_named(tmp_path: Path, caplog):
    found = stored(Squares(3, broken=(1,)), tmp_path, workers=0)
    assert found[1].shape == (0, 4) and len(found[0]) and len(found[2])
    assert [r.getMessage() for r in caplog.records] == ["no proposals: squares/1.png: torn"]


@pytest.mark.parametrize(
    ("change", "said"),
    [({"seed": 1}, "seed"), ({"max_boxes": 5}, "max_boxes"), ({"strategy": "rcnn"}, "measures, side, min_side")],
)
def test_a_folder_of_other_settings_is_refused(tmp_path: Path, change, said: str):
    stored(Squares(2), tmp_path, workers=0)
    with pytest.raises(ValueError, match=f"holds proposals of other {said}; delete it or choose another"):
        stored(Squares(2), tmp_path, workers=0, **change)
    with pytest.raises(ValueError, match="of other images, names"):
        stored(Squares(3), tmp_path, workers=0)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "No space left on device; make room, and the same command goes on from there"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_what_a_file_cannot_take_is_named_and_leaves_nothing(tmp_path: Path, monkeypatch, number: int, said: str):
    def full(file, **arrays):
        file.write(b"the beginning")
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(proposals.np, "savez", full)
    with pytest.raises(OSError, match=f"00000.npz: {said}$"):
        stored(Squares(2), tmp_path, workers=0)
    assert [path.name for path in tmp_path.iterdir()] == ["settings.json"]


def test_records_take_their_proposals_along(tmp_path: Path):
    records = Squares(3)
    both = Proposed(records, stored(records, tmp_path, max_boxes=6, workers=0))
    live = Searched(records, "fast", 0, 6)
    assert len(both) == len(live) == 3 and both.name(2) == live.name(2) == "squares/2.png"
    for index in range(3):
        np.testing.assert_array_equal(both[index]["proposals"], live[index]["proposals"])
        np.testing.assert_array_equal(fetch(both, index, encoded=True)["proposals"], both[index]["proposals"])
    scenes = sources.load("scenes:count=2,size=32")["train"]
    assert extent(Proposed(scenes, both.proposals), 0) == extent(Searched(scenes, "fast", 0, 6), 0) == (32, 32)


@pytest.mark.long
def test_memory_does_not_grow_with_the_images(tmp_path: Path):
    stored(Squares(1), tmp_path / "first", workers=0)  # what is loaded and cached once
    peaks = []
    for files in (1, 5):
        tracemalloc.start()
        stored(Squares(files * PER_FILE), tmp_path / str(files), workers=0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # Small objects that Python keeps, and cycles collected late, add a fifth; 128 images would add four fifths.
    assert peaks[1] < 1.5 * peaks[0], peaks


def test_they_may_be_named_before_they_are_searched_for(tmp_path: Path):
    named = Proposed(Squares(2), Stored(tmp_path, 2))
    with pytest.raises(ValueError, match="00000.npz: cannot be read"):
        _ = named[1]
    stored(Squares(2), tmp_path, workers=0)
    assert named[1]["proposals"].shape[1] == 4
