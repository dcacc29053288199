"""Sources are described once, and what was left out of them is named and counted."""

import pytest

from jaxvision.data.classes import OneGreyImage
from jaxvision.data.records import Source
from jaxvision.data.source_log import SourceLog, describe


def source(*left_out: str) -> Source:
    splits = {"val": OneGreyImage(), "train": OneGreyImage(), "all": OneGreyImage()}
    return Source(splits, ("cat", "dog"), origins={"train": "lists/train.txt"}, left_out=left_out)


def test_a_source_is_described_in_one_line():
    line = "data voc:DIR: train: 1 images of lists/train.txt; val: 1 images; 2 classes"
    assert describe("voc:DIR", source()) == line


def test_a_source_is_described_once_with_what_it_lost():
    lines: list[str] = []
    log = SourceLog(lines.append)
    for _ in range(2):
        log.add("voc:DIR", source(*(f"a.xml: object {n}" for n in range(7))))
    assert [line.partition(":")[0] for line in lines] == ["data voc", *["left out"] * 6]
    assert lines[-1] == "left out: 7 annotations in all, listed in left_out.txt"
    assert log.left_out() == [f"a.xml: object {n}" for n in range(7)]


def test_strict_stops_at_the_first():
    with pytest.raises(ValueError, match="--strict: a.xml: no name; 2 annotations cannot be used"):
        SourceLog().add("voc:DIR", source("a.xml: no name", "b.xml: no box"), strict=True)


def test_what_is_learned_is_read_off_the_source():
    log = SourceLog()
    log.add("voc:DIR", source())
    assert log.learned("voc:DIR")["class_names"] == ["cat", "dog"] and log.learned("voc:DIR")["data"] == "voc:DIR"
    assert log.learned("coco:DIR") == {}
