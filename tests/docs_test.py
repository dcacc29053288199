"""What the pages tell a reader to type: the worked example runs, and every command has the flags that it uses."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import launch
from tests import conventions_test

ROOT = Path(launch.__file__).parent
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
EXAMPLE = "ssl/lower_half"


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def commands(path: Path) -> list[list[str]]:
    """The arguments of every whole `python launch.py` in a page or docstring; "\\" goes on in the next line."""
    found = re.findall(r"^\W*python (launch\.py .*)$", path.read_text().replace("\\\n", ""), re.MULTILINE)
    words = [shlex.split(line, comments=True) for line in found if "…" not in line]
    # Files of weights are other people's.
    return [[word for word in line if not word.startswith("--init_from=")] for line in words]


def test_the_worked_example_runs(tmp_path: Path):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "adding_an_experiment.md").read_text(), re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) < 60
    shutil.copytree(ROOT / "experiments", tmp_path / "experiments")
    shutil.copy(ROOT / "launch.py", tmp_path)
    (tmp_path / "jaxvision").symlink_to(ROOT / "jaxvision")
    path = tmp_path / "experiments" / f"{EXAMPLE}.py"
    path.write_text(code)
    conventions_test.test_a_module_is_small_typed_and_documented(path)
    conventions_test.test_an_experiment_has_its_command_and_its_presets(path)
    command = [sys.executable, "launch.py", f"--experiment={EXAMPLE}", "--smoke", "--workdir=run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "images" / "drawn-000002.png").exists()
    assert "val/squared_error" in (tmp_path / "run" / "metrics.jsonl").read_text()


@pytest.mark.parametrize("path", [*PAGES, *sorted(ROOT.glob("experiments/*/[!_]*.py"))], ids=named)
def test_commands_are_understood(path: Path):
    for words in commands(path):
        if any(word.startswith("--experiment=") and EXAMPLE not in word for word in words):
            launch.parse(words)


def test_commands_are_found():
    assert len(commands(ROOT / "README.md")) > 5 and len(commands(ROOT / "experiments/ssl/probe.py")) == 3


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_links_lead_somewhere(path: Path):
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        assert (path.parent / target).exists(), target
