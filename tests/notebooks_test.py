"""The notebooks are executed, small, and use names that exist; `long`: their code runs."""

import ast
import base64
import importlib
import importlib.util
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
OURS = ("jaxvision", "experiments", "launch")


def named(path: Path) -> str:
    return path.stem


def cells(path: Path, kind: str = "code") -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def code(path: Path) -> str:
    return "\n\n".join("".join(cell["source"]) for cell in cells(path))


def unknown(source: str) -> list[str]:
    """Names of our packages that are imported or called and do not exist, and calls that they refuse."""
    tree, values, found = ast.parse(source), dict[str, Any](), list[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in OURS:
            for alias in node.names:
                try:
                    module = importlib.import_module(node.module)
                    inner = f"{node.module}.{alias.name}"
                    value = getattr(module, alias.name, None) or importlib.import_module(inner)
                except ImportError as error:
                    found.append(str(error))
                else:
                    values[alias.asname or alias.name] = value
        elif isinstance(node, ast.Import) and node.names[0].name in OURS:
            values[node.names[0].name] = importlib.import_module(node.names[0].name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = values.get(node.value.id)
            if isinstance(owner, ModuleType) and not hasattr(owner, node.attr):
                found.append(f"{owner.__name__} has no {node.attr}")
    return found + [line for node in ast.walk(tree) if isinstance(node, ast.Call) for line in refused(node, values)]


def refused(call: ast.Call, values: dict[str, Any]) -> list[str]:
    """Why a function of ours would not take a call, as far as its signature tells."""
    function: Any = None
    if isinstance(call.func, ast.Name):
        function = values.get(call.func.id)
    elif isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
        owner = values.get(call.func.value.id)
        function = getattr(owner, call.func.attr, None) if isinstance(owner, ModuleType) else None
    starred = any(isinstance(a, ast.Starred) for a in call.args) or any(k.arg is None for k in call.keywords)
    if function is None or starred:
        return []
    try:
        inspect.signature(function).bind(*call.args, **{str(k.arg): None for k in call.keywords})
    except TypeError as error:
        return [f"{ast.unparse(call.func)}: {error}"]
    return []


def test_a_name_that_is_gone_is_found():
    assert unknown("from jaxvision.ops import nms, gone") and unknown("from jaxvision.ops import boxes\nboxes.gone(1)")
    assert "missing a required argument" in unknown("from jaxvision.ops import boxes\nboxes.iou(1)")[0]
    assert not unknown("from jaxvision.ops import boxes as b\nimport os\nb.iou(1, 2)\nos.gone()")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=named)
def test_names_and_calls_of_a_notebook_exist(path: Path):
    assert unknown(code(path)) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=named)
def test_a_notebook_was_executed_from_top_to_bottom_and_is_small(path: Path):
    whole = json.loads(path.read_text())
    assert whole["nbformat"] == 4 and cells(path, "markdown")[0]["source"][0].startswith("# ")
    assert [cell["execution_count"] for cell in cells(path)] == list(range(1, len(cells(path)) + 1))
    outputs = [output for cell in cells(path) for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    pictures = [data for output in outputs for kind, data in output.get("data", {}).items() if "image/" in kind]
    assert pictures and max(len(base64.b64decode("".join(data))) for data in pictures) < 100_000
    assert path.stat().st_size < 1_000_000 and str(ROOT) not in path.read_text()


def test_a_page_of_the_site_has_code_text_and_pictures(tmp_path: Path):
    spec = importlib.util.spec_from_file_location("notebook_pages", ROOT / "docs" / "notebooks" / "pages.py")
    assert spec is not None and spec.loader is not None
    pages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pages)
    outputs = [
        {"output_type": "stream", "text": [f"{n}\n" for n in range(40)]},
        {"output_type": "display_data", "data": {"image/png": "AA\n=="}},
        {"output_type": "execute_result", "data": {"text/plain": ["7"]}},
    ]
    text = {"cell_type": "markdown", "source": ["# T\n", "see [x](moco.ipynb)"]}
    whole = {"cells": [text, {"cell_type": "code", "source": ["f(1)"], "outputs": outputs}]}
    (tmp_path / "a.ipynb").write_text(json.dumps(whole))
    page = pages.page_of(tmp_path / "a.ipynb")
    assert page.startswith("# T\n") and "```python\nf(1)\n```" in page and "](data:image/png;base64,AA==)" in page
    assert "29\n… and 10 more lines\n```" in page and "```text\n7\n```" in page
    assert pages.on_page_markdown("[a](../notebooks/moco.ipynb) [b](x.md)") == "[a](../notebooks/moco.md) [b](x.md)"


def test_all_notebooks_are_linked():
    for page in (ROOT / "docs" / "index.md", ROOT / "mkdocs.yml"):
        assert not [path.stem for path in NOTEBOOKS if f"notebooks/{path.stem}." not in page.read_text()], page.name


def marked(path: Path) -> Any:
    """Return a notebook with the mark of its test: two train a network for longer than a test should."""
    slow = path.stem in ("own_loop", "moco")
    return pytest.param(path, id=named(path), marks=pytest.mark.exhaustive if slow else pytest.mark.long)


@pytest.mark.parametrize("path", [marked(path) for path in NOTEBOOKS])
def test_the_code_of_a_notebook_runs(path: Path, tmp_path: Path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", code(path)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
