"""Commands and code in the pages work; links lead somewhere; the built site needs no network."""

import importlib
import re
import shlex
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

import launch
from tests import conventions_test

ROOT = Path(launch.__file__).parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/**/*.md"))]
EXAMPLE = "ssl/lower_half"
EXTENDING = ROOT / "docs" / "extending.md"
EXTENSIONS = {  # heading: the most files that it touches, what to run, what it must write into metrics.jsonl
    "A backbone": (2, ["--experiment=detection/own_backbone"], "val/AP50"),
    "A method": (1, ["--experiment=ssl/own_method"], "train/align"),
    "A data format": (2, ["--experiment=classification/resnet", "--data=lines:labels.csv"], "val/accuracy"),
    "A metric": (1, ["--experiment=classification/own_metric"], "val/calibration_error"),
    "A logger": (1, ["--experiment=classification/own_logger"], "val/accuracy"),
}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def written(path: Path) -> list[list[str]]:
    """The arguments of every whole `python launch.py` in a page or docstring; "\\" goes on in the next line."""
    found = re.findall(r"^\W*python (launch\.py .*)$", path.read_text().replace("\\\n", ""), re.MULTILINE)
    return [shlex.split(line, comments=True) for line in found if "…" not in line]


def commands(path: Path) -> list[list[str]]:
    """The same without files of weights, which are other people's; see `docs_commands_test` for these."""
    return [[word for word in line if not word.startswith("--init_from=")] for line in written(path)]


def test_the_worked_example_runs(tmp_path: Path):
    code, *_ = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "adding_an_experiment.md").read_text(), re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) < 60
    checkout(tmp_path)
    path = tmp_path / "experiments" / f"{EXAMPLE}.py"
    path.write_text(code)
    conventions_test.test_a_module_is_small_typed_and_documented(path)
    conventions_test.test_an_experiment_has_its_command_and_its_presets(path)
    command = [sys.executable, "launch.py", f"--experiment={EXAMPLE}", "--smoke", "--workdir=run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "images" / "drawn-000002.png").exists()
    assert "val/squared_error" in (tmp_path / "run" / "metrics.jsonl").read_text()


def checkout(folder: Path) -> Path:
    """A copy of everything that runs, but for the forms of ops for CPUs, which compile for longer."""
    for name in ("experiments", "jaxvision"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "cpu"))
    shutil.copy(ROOT / "launch.py", folder)
    return folder


def apply(diff: str, path: Path) -> None:
    """Replace the lines of a diff that stand in the file, or the beginning of one, by those that are to stand there."""
    before, after = ("\n".join(line[1:] for line in diff.splitlines() if line[:1] in kind) for kind in (" -", " +"))
    text = path.read_text()
    assert text.count(before) == 1, f"{path.name} has no single place like\n{before}"
    path.write_text(text.replace(before, after))


@pytest.mark.long
@pytest.mark.parametrize("heading", EXTENSIONS)
def test_an_extension_works(heading: str, tmp_path: Path):
    most_files, arguments, key = EXTENSIONS[heading]
    (text,) = [part for part in EXTENDING.read_text().split("\n## ") if part.startswith(heading)]
    blocks = re.findall(r"```(python|diff)\n *# (\S+)\n(.*?)```", text, re.DOTALL)
    assert {file for _, file, _ in blocks} and len({file for _, file, _ in blocks}) <= most_files
    lines = [line for _, _, code in blocks for line in code.splitlines() if line.strip() and line[0] != "-"]
    assert len(lines) < 60, f"{heading}: {len(lines)} lines"
    folder = checkout(tmp_path)
    for language, file, code in blocks:
        if language == "diff":
            apply(code, folder / file)
        else:
            (folder / file).write_text(code)
            conventions_test.test_a_module_is_small_typed_and_documented(folder / file)
    for index in range(20):
        Image.new("RGB", (32, 32), (index, 0, 0)).save(folder / f"{index}.png")
    (folder / "labels.csv").write_text("".join(f"{index}.png,{'ab'[index % 2]}\n" for index in range(20)))
    command = [sys.executable, "launch.py", *arguments, "--smoke", "--workdir=run"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    assert key in (folder / "run" / "metrics.jsonl").read_text()


@pytest.mark.parametrize("path", [*PAGES, *sorted(ROOT.glob("experiments/*/[!_]*.py"))], ids=named)
def test_commands_are_understood(path: Path):
    for words in commands(path):
        if any(word.startswith("--experiment=") and EXAMPLE not in word and "/own_" not in word for word in words):
            launch.parse(words)


def test_commands_are_found():
    assert len(commands(ROOT / "README.md")) > 5 and len(commands(ROOT / "experiments/ssl/probe.py")) == 3


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_links_lead_somewhere(path: Path):
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        assert (path.parent / target).exists(), target


class _Fetched(HTMLParser):
    """Addresses that a browser fetches to show a page; links that a reader may follow are not among them."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag in ("script", "img", "iframe", "source", "video", "audio"):
            self.addresses.append(attributes.get("src") or "")
        if tag == "link" and attributes.get("rel") not in ("canonical", "next", "prev"):
            self.addresses.append(attributes.get("href") or "")


@pytest.mark.site
def test_the_site_needs_no_network():
    pages = sorted((ROOT / "site").glob("**/*.html"))
    if not pages:
        pytest.skip("`make docs` builds the site")
    for page in pages:
        fetched = _Fetched()
        fetched.feed(page.read_text())
        outside = [address for address in fetched.addresses if re.match(r"(https?:)?//", address)]
        assert not outside, f"{page.relative_to(ROOT)} fetches {outside}"
    for sheet in (ROOT / "site").glob("**/*.css"):
        assert not re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", sheet.read_text()), sheet.relative_to(ROOT)


@pytest.mark.site
def test_the_reference_has_every_public_name():
    if not (ROOT / "site").exists():
        pytest.skip("`make docs` builds the site")
    for name in ("ops", "losses", "models", "evals"):
        page = (ROOT / "site" / "api" / f"{name}.html").read_text()
        package = importlib.import_module(f"jaxvision.{name}")
        missing = [public for public in package.__all__ if f'id="jaxvision.{name}.{public}"' not in page]
        assert not missing, f"jaxvision.{name}: {missing}"
