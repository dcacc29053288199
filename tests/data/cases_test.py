"""Data as users bring it: each kind of folder and file is read, refused by name, or skipped and named."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from jaxvision.data import decode, sources
from tests.data.cases import coco, folders, images, masks, voc
from tests.data.cases.case import OUTCOMES, Case

CASES = {**coco.CASES, **voc.CASES, **masks.CASES, **folders.CASES}
LISTED = [pytest.param(case, id=f"{kind}: {case.name}") for kind, cases in CASES.items() for case in cases]


@pytest.mark.parametrize("case", LISTED)
def test_data_as_users_bring_it(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lines: list[str] = []
    monkeypatch.setattr("absl.logging.warning", lambda text, *values: lines.append(text % values))
    root = tmp_path / "data"
    root.mkdir()
    case.write(root)

    def opened() -> tuple:
        source = sources.load(case.spec.format(root), case.needs)
        return source.left_out, case.look(source)

    if case.refused:
        with pytest.raises(ValueError, match=case.refused) as error:
            opened()
        assert "\n" not in str(error.value)
        return
    left_out, found = opened()
    assert found == case.found
    assert len(left_out) == bool(case.left_out) and re.search(case.left_out, "".join(left_out))
    assert re.search(case.said, "\n".join(lines))


@pytest.mark.parametrize("picture", images.CASES["Images"], ids=lambda picture: picture.name)
def test_images_as_they_are_found(picture: images.Picture, tmp_path: Path):
    path = images.save(tmp_path, picture)
    if picture.refused:
        with pytest.raises(ValueError, match=f"^{path}: [^\n]*{picture.refused}[^\n]*$"):
            decode.decode(path)
        return
    found = decode.decode(path)
    assert found.dtype == np.uint8 and found.shape == picture.expected.shape
    assert np.abs(found.astype(np.int64) - picture.expected).max() <= picture.loss


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_large_jpegs_are_decoded_at_a_reduced_scale(mode: str):
    assert images.reduced(mode) < 1.0


def test_the_counts_of_what_becomes_of_them():
    cases = {**CASES, **images.CASES}
    found = {
        kind: tuple(Counter(case.outcome for case in listed)[name] for name in OUTCOMES)
        for kind, listed in cases.items()
    }
    assert found == {
        "COCO: boxes": (8, 2, 6),
        "COCO: outlines": (11, 0, 4),
        "COCO: ids, flags and sizes": (12, 3, 1),
        "COCO: files": (10, 3, 0),
        "Detectors' data": (5, 2, 0),
        "VOC: lists": (14, 0, 1),
        "VOC: names of files": (6, 0, 3),
        "VOC: boxes and sizes": (7, 0, 2),
        "Label maps: bits, palettes and modes": (18, 3, 0),
        "Label maps: values": (3, 3, 0),
        "Label maps: folders and names of classes": (4, 1, 0),
        "Folders: classes and splits": (9, 5, 3),
        "Folders: classes that a run learned": (3, 1, 0),
        "MNIST's files": (1, 1, 0),
        "Images": (60, 5, 0),
    }
    assert tuple(map(sum, zip(*found.values(), strict=True))) == (171, 29, 20)
