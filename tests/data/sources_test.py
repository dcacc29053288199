import re

import pytest

from jaxvision.data import sources


def test_embedded_sources_load_by_name():
    assert len(sources.load("digits:count=8")["train"]) == 8
    assert sources.load("scenes:count=4,size=48")["val"][0]["image"].shape == (48, 48, 3)


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "cifar",
        "Digits",
        "digits:",
        "folder",
        "folder:",
        "idx:",
        "tfds",
        "voc:",
        "voc:/x",
        "coco",
        "coco:/x",
        "folder:/none",
    ],
)
def test_wrong_names_are_one_line(spec):
    if spec == "digits:":
        sources.load(spec)
        return
    with pytest.raises(ValueError, match=f"^--data={re.escape(spec)}: [^\n]+$"):
        sources.load(spec)


def test_every_source_has_mean_and_std_in_pixel_units():
    for spec in ("digits", "scenes"):
        source = sources.load(spec)
        assert all(1 < value < 255 for value in (*source.mean, *source.std))


def test_a_plus_joins_sets_and_is_otherwise_part_of_a_name():
    assert len(sources.load("scenes:count=3,size=32+scenes:count=5,size=32")["train"]) == 8
    with pytest.raises(ValueError, match=r"^--data=voc:/no\+where: "):
        sources.load("voc:/no+where")
