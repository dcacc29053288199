"""The pages in a browser: nothing in its console, every picture decoded, nothing wider than a phone or a desktop.

Needs Chromium or Chrome, and is skipped without.
"""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxvision.run import gallery, prediction_page
from tests.run.report_test import finished_run, picture

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
WIDTHS = (400, 1400)
# Settles only after everything is loaded; a narrow body is laid out as in a narrow window.
MEASURE = """<script>addEventListener("load", () => { const found = {};
for (const width of WIDTHS) { document.body.style.width = width + "px";
  found[width] = document.body.scrollWidth - document.body.clientWidth; }
found.broken = [...document.images].filter(image => !image.naturalWidth).length;
document.title = JSON.stringify(found); })</script>""".replace("WIDTHS", json.dumps(WIDTHS))

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome")


def browse(page: Path, profile: Path, *flags: str) -> tuple[str, list[str]]:
    """What it prints, and the lines of its console."""
    switches = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync"
    command = [BROWSER, *switches.split(), "--disable-component-update", f"--user-data-dir={profile}"]
    command += ["--enable-logging=stderr", *flags, page.resolve().as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, its report, predictions and a gallery."""
    folder = tmp_path_factory.mktemp("runs")
    finished_run(folder / "a run")
    gallery.write(folder, print)
    for name in ("predictions-000.png", "predictions/a.png", "predictions/small/a.png"):
        picture(folder / "a run" / name)
    found = (("cat", 0.9), ("dog", 0.5))
    photo = prediction_page.Photo("photos/a.png", found, "predictions/a.png", "predictions/small/a.png", (40, 30))
    command = "python launch.py --mode=predict '--input=photos/*.jpg' " + "x" * 200
    prediction_page.write(folder / "a run", [photo], 1, command, ["predictions.json"])
    return folder


@pytest.mark.parametrize("name", ["gallery.html", "a run/report.html", "a run/predictions.html"])
def test_a_page_is_shown_without_errors(runs: Path, tmp_path: Path, name: str):
    _, console = browse(
        runs / name, tmp_path / "profile", f"--screenshot={tmp_path}/shot.png", "--window-size=1400,900"
    )
    assert console == []
    pixels = np.asarray(Image.open(tmp_path / "shot.png").convert("RGB"))
    assert pixels.shape == (900, 1400, 3) and np.all(pixels[0, 0] == 255) and pixels.std() > 5
    copy = (runs / name).with_name("copy.html")  # beside the pictures
    copy.write_text((runs / name).read_text().replace("</body>", f"{MEASURE}</body>"))
    shown, console = browse(copy, tmp_path / "profile", "--dump-dom")
    measured = json.loads(html.unescape(re.search("<title>(.*)</title>", shown).group(1)))
    assert console == [] and measured == {"400": 0, "1400": 0, "broken": 0}


def test_errors_would_be_seen(tmp_path: Path):
    bad = '<!doctype html><title></title><body><p style="width:900px">x</p><img alt="" src="data:image/png;base64,AA">'
    (tmp_path / "bad.html").write_text(f"{bad}<script>throw 1</script>{MEASURE}</body>")
    shown, console = browse(tmp_path / "bad.html", tmp_path / "profile", "--dump-dom")
    measured = json.loads(html.unescape(re.search("<title>(.*)</title>", shown).group(1)))
    assert len(console) == 1 and measured["400"] > 0 and measured["1400"] == 0 and measured["broken"] == 1
