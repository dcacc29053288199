"""What metrics mean, the same in reports and in docs/metrics.md."""

import re

import pytest

from jaxvision.run import glossary
from jaxvision.run.experiments import ROOT


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("val/AP50", "IoU of 0.5"),
        ("val/AP50_unmoved", "before regression"),
        ("val/AP50_cat", "of that class"),
        ("val/AP_small", "32²"),
        ("val/fid_resnet18_running", "Fréchet"),
        ("alarm/collapse", "collapsed"),
        ("val/rarest_mode", "fewest"),
        ("judge/accuracy", "judge"),
        ("val/accuracy", "most probable class"),
        ("segmenter/mean_iou", "intersection over union"),
        ("time/train_seconds", "seconds that the stage took"),
        ("val/iou_road", "of that class"),
        ("fit/error", "training images"),
        ("gradient_at_0/conv1", "before the first step"),
        ("gradient/layer1_0", "that layer"),
        ("val/unheard_of", ""),
    ],
)
def test_a_metric_is_explained(name: str, words: str):
    assert words in glossary.meaning(name) and bool(words) == bool(glossary.meaning(name))


def test_entries_are_whole():
    for entry in glossary.entries():
        assert entry.area and entry.shown and entry.meaning and not entry.meaning.endswith(".")
        re.compile(entry.pattern)


def test_the_page_of_the_docs_is_the_glossary():
    assert (ROOT / "docs" / "metrics.md").read_text() == glossary.as_markdown()
