import base64
import html
import io
import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxvision.viz import page
from jaxvision.viz.table import table
from tests.viz.tags import Tags


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def inside(image: str) -> tuple[str, bytes]:
    kind, data = re.fullmatch(r'<img .*src="data:image/(\w+);base64,(.+)">', image).groups()
    return kind, base64.b64decode(data)


def test_a_page_is_whole_and_needs_nothing_else():
    parts = [page.section("a < b", page.fields({"<x>": 1}), page.cards([("0.9", "val/accuracy", "")]))]
    text = page.document("<script>", [*parts, "", page.section("empty", "", "")])
    tags = Tags(text)
    assert {"<script>", "a < b", "<x>", "0.9"} <= set(tags.words) and "empty" not in text
    assert "script" not in tags.seen and "http" not in text and "@import" not in text and "url(" not in text
    assert 'name="viewport"' in text and 'charset="utf-8"' in text and 'rel="icon" href="data:,"' in text


@pytest.mark.parametrize("value", ['"><img src=x onerror=alert(1)>', "a&b", "'"])
def test_nothing_that_is_given_becomes_a_tag(value: str):
    made = [
        page.text(value),
        page.table([value], [[value, value]]),
        page.fields({value: value}),
        page.cards([(value, value, value)]),
        page.figure(page.picture(noise(2, 2), value), value),
        page.from_markdown(f"{value}\n\n| {value} |\n| --- |\n| {value} |"),
        page.link(Path(value)),
        page.name(value),
        page.command(f"python {shlex.quote(value)}"),
    ]
    for one in made:
        assert value not in one
        Tags(page.document(value, [one]))


def test_a_link_leads_to_a_file_of_any_name():
    assert page.link(Path("a b/100%?#.html")) == '<a href="a%20b/100%25%3F%23.html">a b/100%?#.html</a>'


def test_a_small_picture_stays_as_it_is(tmp_path: Path):
    Image.fromarray(noise(20, 30)).save(tmp_path / "x.png")
    image = page.picture(tmp_path / "x.png", "noise")
    assert inside(image) == ("png", (tmp_path / "x.png").read_bytes())
    assert 'width="30" height="20"' in image
    kind, data = inside(page.picture(noise(20, 30), "noise"))
    assert kind == "png"
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), noise(20, 30))


def test_a_wide_picture_is_shrunk_and_a_heavy_one_packed(tmp_path: Path):
    Image.fromarray(noise(50, 400)).save(tmp_path / "x.png")
    kind, data = inside(page.picture(tmp_path / "x.png", "noise", widest=100))
    assert Image.open(io.BytesIO(data)).size == (100, 12) and kind == "png"
    kind, data = inside(page.picture(noise(400, 400), "noise", widest=400))
    assert kind == "jpeg" and Image.open(io.BytesIO(data)).size == (400, 400)
    assert len(data) < 400 * 400 * 3 / 2


def test_a_table_of_text_becomes_one_of_cells():
    text = table(["unit", "IoU"], {"a": [0.25], "b": ["-"]}) + "\n\nwhere\nfound.\n"
    assert Tags(page.document("", [page.from_markdown(text)])).words == [
        "unit",
        "IoU",
        "a",
        "0.25",
        "b",
        "-",
        "where found.",
    ]


def test_a_command_is_what_was_typed():
    line = "python launch.py '--input=my photos/*.jpg' --smoke"
    made = page.command(line)
    assert made.count("<span>") == 4 and html.unescape(re.sub("<[^>]+>", "", made)) == line


def test_a_file_of_any_name_has_an_address():
    assert page.address(Path("a b/ü&.png")) == "a%20b/%C3%BC%26.png"
    assert page.address(Path(os.fsdecode(b"caf\xe9.png"))) == "caf%E9.png"  # not UTF-8
