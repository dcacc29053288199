"""config.json of other versions, and of no version."""

from pathlib import Path

import pytest

from jaxvision.run.saved_run import completed, read

GOOD = '{"experiment": "a/b", "config": {"depth": 18}}'


def test_a_folder_without_a_run_has_nothing_and_an_old_run_has_no_number(tmp_path: Path):
    assert read(tmp_path) == {}
    (tmp_path / "config.json").write_text(GOOD)
    assert read(tmp_path)["config"] == {"depth": 18}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is damaged: it is not JSON"),
        (GOOD[:20].encode(), "is damaged: it is not JSON"),
        (b"\xff\xfe\x00", "is damaged: it is not JSON"),
        (b"[" * 100_000, "is damaged: it is not JSON"),
        (b"[1]", "is damaged: it is not a JSON object"),
        (b'{"experiment": "a/b"}', "is damaged: its entry 'config' is missing or is no dict"),
        (b'{"experiment": 3, "config": {}}', "is damaged: its entry 'experiment' is missing or is no str"),
        (GOOD[:-1].encode() + b', "seed": "x"}', "is damaged: its entry 'seed' is no int"),
        (GOOD[:-1].encode() + b', "learned": []}', "is damaged: its entry 'learned' is no dict"),
        (GOOD[:-1].encode() + b', "learned": {"mean": [1, 2]}}', "is damaged: learned mean is not three numbers"),
        (GOOD[:-1].encode() + b', "learned": {}}', "is damaged: learned lacks mean, std or class_names"),
        (GOOD[:-1].encode() + b', "prepared": {"class_names": [1]}}', "is damaged: prepared class_names is no list"),
        (b'{"format": 99, "experiment": "a/b", "config": {}}', "was written by a newer version"),
    ],
)
def test_a_damaged_file_is_named_in_one_line(tmp_path: Path, content: bytes, reason: str):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"config\.json") as raised:
        read(tmp_path)
    assert reason in str(raised.value) and "\n" not in str(raised.value)


def test_settings_are_completed_and_what_is_gone_is_said():
    lines: list[str] = []
    assert completed({"depth": 18, "gone": 3}, {"depth": 34, "new": 1}, lines.append) == {"depth": 18, "new": 1}
    assert lines == ["settings of this run that exist no more are left out: --gone (it was 3)"]


def test_a_setting_of_another_kind_is_named():
    known = {"depth": 18, "lr": 0.1, "flip": True, "data": "digits", "sizes": [1, 2], "limit": None}
    fine = {"depth": 34, "lr": 1, "flip": False, "data": "scenes", "sizes": [3], "limit": 7}
    assert completed(fine, known) == fine
    for name, value in (("depth", "x"), ("lr", []), ("flip", 1), ("data", 3), ("sizes", ["a"]), ("sizes", 4)):
        with pytest.raises(ValueError, match=f"config.json of this run is damaged: --{name} is "):
            completed({**fine, name: value}, known)
