"""predictions.html: every file is named and linked, and thousands of them make no heavy page."""

import json
import re
from html import unescape
from pathlib import Path

import numpy as np
from PIL import Image

from jaxvision.run.prediction_page import Photo, write
from tests.viz.tags import Tags


def photo(file: str, *classes: tuple[str, float]) -> Photo:
    stem = Path(file).stem
    return Photo(file, classes, f"predictions/{stem}.jpg", f"predictions/small/{stem}.jpg", (40, 30))


def test_a_card_names_links_and_describes_its_file(tmp_path: Path):
    run, original = tmp_path / "run", tmp_path / "photos" / "a <b> & ü#1.jpg"
    run.mkdir()
    photos = [photo(str(original), ("cat", 0.9), ("cat", 0.6), ('"dog"', 0.5)), photo(str(tmp_path / "empty.jpg"))]
    path = write(run, photos, 0, "python launch.py --mode=predict '--input=a b'", ["predictions.json"])
    text = path.read_text()
    tags = Tags(text)
    assert '2 × cat 0.90, "dog" 0.50' in tags.words and "nothing found" in tags.words and "2 images" in tags.words
    links = re.findall(r'href="([^"]*)"', text)
    assert {"predictions/empty.jpg", "predictions.json", "../photos/a%20%3Cb%3E%20%26%20%C3%BC%231.jpg"} <= set(links)
    found = [json.loads(unescape(one)) for one in re.findall(r'data-found="([^"]*)"', text)]
    assert found == [[["cat", 0.9], ["cat", 0.6], ['"dog"', 0.5]], []]
    assert text.count('loading="lazy"') == 2 and '<option value="cat">cat (1)</option>' in text
    assert all(f'name="{name}"' in text for name in ("class", "score", "order"))


def test_a_thousand_photos_are_a_small_page(tmp_path: Path):
    photos = [photo(f"photos/{i}.jpg", ("cat", 0.5), ("dog", 0.25)) for i in range(1000)]
    path = write(tmp_path, photos, 0, "")
    assert path.stat().st_size < 700_000 and "1000 images" in Tags(path.read_text()).words


def test_experiments_that_draw_several_images_together_have_sheets(tmp_path: Path):
    for i in range(22):
        Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(tmp_path / f"predictions-{i:03d}.png")
    tags = Tags(write(tmp_path, [Photo("a.jpg", ())], 22, "python launch.py '--input=*.jpg'").read_text())
    assert tags.seen.count("img") == 20 and any("2 more pictures lie beside them." in word for word in tags.words)
    assert "python launch.py '--input=*.jpg'" in tags.words
