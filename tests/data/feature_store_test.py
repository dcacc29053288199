"""Every row comes back; a stopped, torn or crowded disk costs no more than the shard at hand."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from jaxvision.data import feature_store
from jaxvision.data.feature_store import FeatureStore, write

ROWS = np.array([3, 0, 2, 4, 1])


def features_of(item: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(item)
    return {"fc7": rng.normal(size=(ROWS[item], 6)), "pool5": rng.normal(size=(ROWS[item] // 2, 8))}


def store_in(folder: Path, precision: str = "float32") -> FeatureStore:
    return FeatureStore(folder, {"fc7": 6, "pool5": 8}, {"fc7": ROWS, "pool5": ROWS // 2}, precision, per_shard=2)


class Computing:
    """Remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, items: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        for item in items.tolist():
            self.asked.append(item)
            yield features_of(item)


def silent(line: str) -> None:
    """Nobody listens."""


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-6), ("float16", 2e-3)])
def test_every_row_comes_back(tmp_path: Path, precision: str, tolerance: float):
    store = store_in(tmp_path / "features", precision)
    write(store, Computing(), silent)
    for item in range(len(ROWS)):
        for name, expected in features_of(item).items():
            np.testing.assert_allclose(store.read(name, item), expected, rtol=tolerance, atol=tolerance)
    size = sum(p.stat().st_size for p in (tmp_path / "features").glob("*.npy"))
    assert (
        size - 6 * 128
        == sum(store.bytes(s) for s in range(store.shards))
        == (10 * 6 + 4 * 8) * (2, 4)[precision == "float32"]
    )
    assert json.loads((store.folder / "features.json").read_text())["rows"] == {"fc7": 10, "pool5": 4}
    assert np.load(store.path("fc7", 1)).shape == (6, 6)


def test_a_run_that_stopped_goes_on_and_writes_the_same(tmp_path: Path):
    class Stopped(Computing):
        def __call__(self, items: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
            for item, features in zip(items.tolist(), super().__call__(items), strict=True):
                if item == 3:
                    raise KeyboardInterrupt
                yield features

    whole, stopped, rest = store_in(tmp_path / "whole"), store_in(tmp_path / "stopped"), Computing()
    write(whole, Computing(), silent)
    with pytest.raises(KeyboardInterrupt):
        write(stopped, Stopped(), silent)
    write(stopped, rest, silent)
    assert rest.asked == [2, 3, 4]
    for path in whole.folder.glob("*.npy"):
        assert (stopped.folder / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("keep", [0, 50, 130, -1])
def test_a_shard_that_is_cut_short_is_written_again(tmp_path: Path, keep: int):
    store, again = store_in(tmp_path), Computing()
    write(store, Computing(), silent)
    path = store.path("fc7", 1)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="fc7-00001.npy: missing or broken; --from_stage=features"):
        store.read("fc7", 2)
    write(store, again, silent)
    assert again.asked == [2, 3]
    np.testing.assert_allclose(store.read("fc7", 3), features_of(3)["fc7"], rtol=1e-6)


def test_shards_of_another_shape_or_precision_are_written_again(tmp_path: Path):
    again = Computing()
    write(store_in(tmp_path, "float16"), Computing(), silent)
    write(store_in(tmp_path), again, silent)
    assert again.asked == [0, 1, 2, 3, 4]


def test_the_size_is_said_before_anything_is_computed(tmp_path: Path):
    said: list[str] = []

    def compute(items: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        assert "368 bytes of float32 to write" in said[0] and "free" in said[0]
        return Computing()(items)

    write(store_in(tmp_path), compute, said.append)
    write(store_in(tmp_path), compute, said.append)
    assert "0 bytes" in said[-1]


def test_too_little_room_is_an_error_before_anything_is_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    usage = type("Usage", (), {"free": 300})
    monkeypatch.setattr(feature_store.shutil, "disk_usage", lambda folder: usage)
    computing = Computing()
    with pytest.raises(ValueError, match="need 368 bytes, but 300 bytes are free; .*--features.precision=float16"):
        write(store_in(tmp_path), computing, silent)
    assert not computing.asked
    write(store_in(tmp_path, "float16"), computing, silent)


def test_a_disk_that_fills_up_meanwhile_is_an_error_that_says_so(tmp_path: Path):
    store, again = store_in(tmp_path), Computing()
    (tmp_path / f"fc7-00001.npy.{os.getpid()}.tmp").symlink_to("/dev/full")
    with pytest.raises(ValueError, match="fc7-00001.npy: the disk is full; .* the same command goes on from there"):
        write(store, Computing(), silent)
    write(store, again, silent)
    assert again.asked == [2, 3, 4]


def test_features_of_another_shape_are_refused(tmp_path: Path):
    def compute(items: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        return ({**features_of(int(i)), "fc7": np.zeros((1, 6))} for i in items)

    with pytest.raises(ValueError, match=r"fc7: features of shape \(2, 6\), not \(3, 6\)"):
        write(store_in(tmp_path), compute, silent)
