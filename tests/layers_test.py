"""docs/architecture.md is true: packages import what its table allows, and its ways through the code are short."""

import ast
import re
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "jaxvision"

PAGE = ROOT / "docs" / "architecture.md"
EVERYWHERE = {"__version__", "channels", "files", "foreign"}  # what any layer may import
PEERS = {"torch", "torchvision", "cv2", "pycocotools", "tensorflow"}


MOST_LINES = {
    "classification/resnet": 450,
    "ssl/moco": 600,
    "gan/dcgan": 600,
    "detection/faster_rcnn": 900,
}


class Room(NamedTuple):
    """A row of the page's table."""

    may_import: set[str]  # packages and modules of jaxvision
    never: set[str]  # packages of other people


def cells(text: str) -> list[list[str]]:
    """The cells of a page's table rows, without heads."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:3] == "| `"]
    assert rows
    return rows


def quoted(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def section(title: str) -> str:
    """The text of the page below a heading that starts with the title."""
    _, found, text = PAGE.read_text().partition(f"# {title}")
    assert found, f"docs/architecture.md has no heading {title}"
    return re.split(r"^#", text, maxsplit=1, flags=re.MULTILINE)[0]


ROOMS = {
    quoted(room)[0]: Room(set(quoted(imported)), set(quoted(never)))
    for room, _, imported, never in cells(section("Rooms"))
}


def imports(path: Path) -> set[str]:
    """The dotted names of the modules that a file imports, at any depth of nesting."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return names


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_imports_only_what_the_page_allows(name: str):
    room = ROOMS[name]
    above = ROOT if name == "experiments" else PACKAGE
    paths = [*above.glob(f"{name}.py"), *above.glob(f"{name}/**/*.py")]
    assert paths, f"docs/architecture.md tells of {name}, which is not there"
    for path in paths:
        for imported in imports(path):
            top, _, inner = imported.partition(".")
            inner = imported if top == "experiments" else inner
            if top in ("jaxvision", "experiments") and inner:
                allowed = any(
                    inner == a or inner.startswith(a + ".") or a.startswith(inner + ".")
                    for a in room.may_import | EVERYWHERE
                )
                assert allowed, f"{path.relative_to(ROOT)} imports {imported}"
            assert top not in room.never, f"{path.relative_to(ROOT)} imports {imported}"


def test_every_package_is_a_room():
    modules = {path.stem for path in PACKAGE.glob("[!_]*.py")}
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert modules | packages | {"experiments"} == {name for name in ROOMS if "/" not in name}


def definitions(tree: ast.Module) -> dict[str, ast.FunctionDef | ast.ClassDef]:
    """Classes and functions by name, methods as "Class.method"."""
    tops = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for name, node in list(tops.items()):
        tops |= {f"{name}.{method.name}": method for method in node.body if isinstance(method, ast.FunctionDef)}
    return tops


@pytest.mark.parametrize("experiment", MOST_LINES)
def test_the_way_to_the_gradient_is_short(experiment: str):
    counted = 0
    rows = cells(section(f"{experiment}: at most {MOST_LINES[experiment]} lines"))
    assert len(rows) <= 8
    for file, read, lines, _ in rows:
        text = (ROOT / quoted(file)[0]).read_text()
        tops = definitions(ast.parse(text))
        assert read == "whole" or set(quoted(read)) <= set(tops), f"{file} has no {set(quoted(read)) - set(tops)}"
        spans = [tops[name].end_lineno - tops[name].lineno + 1 for name in quoted(read)]
        count = sum(spans) if spans else text.count("\n")
        assert abs(count - int(lines)) <= 15, f"{experiment}: {file} has {count} lines to read, the page says {lines}"
        counted += count
    assert counted <= MOST_LINES[experiment], f"{experiment}: {counted} lines"


def test_peers_are_imported_only_by_tests_and_benchmarks():
    for path in [*PACKAGE.glob("**/*.py"), *(ROOT / "experiments").glob("**/*.py"), ROOT / "launch.py"]:
        optional = {"cv2"} if path == PACKAGE / "data" / "video.py" else set()  # reads videos, where it is installed
        found = {n.split(".")[0] for n in imports(path)} & PEERS - optional
        assert not found, f"{path.relative_to(ROOT)} imports {found}"


def test_one_file_knows_how_devices_are_shared():
    words = ("pmap", "make_mesh", "NamedSharding", "jax.distributed", "shard_map")
    for path in PACKAGE.glob("**/*.py"):
        # run/request.py has the choices of --parallel.
        if path not in (PACKAGE / "train" / "devices.py", PACKAGE / "run" / "request.py"):
            code = ast.unparse(_without_docstrings(ast.parse(path.read_text())))
            assert not [w for w in words if w in code], path.relative_to(ROOT)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value = ast.Constant(value=None)
    return tree
