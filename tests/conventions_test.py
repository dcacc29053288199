"""The conventions that a machine can check, so that the code stays one hand's."""

import ast
import builtins
import symtable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted([*ROOT.glob("jaxvision/**/*.py"), *ROOT.glob("experiments/**/*.py"), ROOT / "launch.py"])
EXPERIMENTS = sorted(ROOT.glob("experiments/*/[!_]*.py"))


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def public(tree: ast.Module) -> list[ast.FunctionDef | ast.ClassDef]:
    kinds = (ast.FunctionDef, ast.ClassDef)
    return [n for n in tree.body if isinstance(n, kinds) and not n.name.startswith("_")]


def functions(tree: ast.Module) -> list[ast.FunctionDef]:
    """Public functions, and public methods of public classes."""
    methods = [n for c in public(tree) if isinstance(c, ast.ClassDef) for n in c.body]
    return [n for n in [*tree.body, *methods] if isinstance(n, ast.FunctionDef) and not n.name.startswith("_")]


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_parameters_are_explained_where_there_are_three(path: Path):
    bare = []
    for node in functions(ast.parse(path.read_text())):
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        count = len([a for a in arguments if a.arg not in ("self", "cls")])
        if count >= 3 and "Args:" not in (ast.get_docstring(node) or ""):
            bare.append(node.name)
    assert not bare, f"{named(path)}: without Args: {', '.join(bare)}"


@pytest.mark.parametrize("path", [p for p in MODULES if p.name == "__init__.py"], ids=named)
def test_a_package_holds_no_code(path: Path):
    for node in ast.parse(path.read_text()).body:
        text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        names = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("__all__", "__version__")
        assert text or names or isinstance(node, ast.ImportFrom), f"{named(path)}: {ast.unparse(node)[:60]}"


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_is_small_typed_and_documented(path: Path):
    text = path.read_text()
    tree = ast.parse(text)
    assert path.stem not in {"utils", "util", "common", "base", "misc", "helpers"}
    assert text.count("\n") <= 350, "a file holds one subject"
    assert not tree.body or ast.get_docstring(tree), "a module says what it is"
    for node in public(tree):
        assert ast.get_docstring(node), f"{node.name} has no docstring"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 70, f"{node.name} is too long"
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            bare = [a.arg for a in arguments if a.annotation is None and a.arg not in ("self", "cls")]
            assert not bare and (node.returns or node.name == "__init__"), f"{node.name} is not annotated: {bare}"


def undefined(source: str) -> set[str]:
    """Names that are read but that neither the module, an enclosing function nor Python defines.

    Strings are not looked into: ruff's F821 and mypy's name-defined, which are off, take jaxtyping's shapes for names.
    """
    module = symtable.symtable(source, "", "exec")
    tables = [module]
    for table in tables:
        tables += table.get_children()
    symbols = [(table, symbol) for table in tables for symbol in table.get_symbols()]
    shared = [s for table, s in symbols if table is module or s.is_declared_global()]
    defined = {s.get_name() for s in shared if s.is_assigned() or s.is_imported()} | {*dir(builtins), "__file__"}
    read = {s.get_name() for table, s in symbols if s.is_referenced() and (s.is_global() or table is module)}
    return read - defined


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_every_name_is_defined(path: Path):
    assert not undefined(path.read_text())


def test_an_undefined_name_is_seen_wherever_it_is_read():
    assert undefined("def f(x: int) -> int:\n    y = x\n    return g(y) + sum(z for _ in 'ab')") == {"g", "z"}
    assert undefined("class A(B):\n    c = d\n    def e(self) -> F: return self.c, lambda: __file__") == {"B", "d", "F"}
    assert not undefined("import a.b, c as d\nfor i in d: pass\ndef f(x: 'G', *k, **m): return a, i, k, m, print, f, x")
    assert not undefined(
        "def f():\n    global g\n    def h(): return g, h\n    try: g = 1\n    except E as e: e\nclass E: pass"
    )


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_private_function_is_used_in_its_module(path: Path):
    tree = ast.parse(path.read_text())
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    private = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name.startswith("_")}
    assert private <= used


@pytest.mark.parametrize("path", [p for p in MODULES if p.is_relative_to(ROOT / "jaxvision")], ids=named)
def test_padding_is_explicit_and_nothing_is_printed(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.keyword) and node.arg == "padding":
            assert not (isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)), "give numbers"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print", "a library does not print"


@pytest.mark.parametrize("path", [p for p in MODULES if p.is_relative_to(ROOT / "jaxvision")], ids=named)
def test_a_module_has_a_test_of_its_own_name(path: Path):
    if path.stem != "__init__" and path.name != "types.py":
        test = ROOT / "tests" / path.relative_to(ROOT / "jaxvision").with_name(f"{path.stem}_test.py")
        assert test.exists(), f"write {test.relative_to(ROOT)}"


@pytest.mark.parametrize("path", EXPERIMENTS, ids=named)
def test_an_experiment_has_its_command_and_its_presets(path: Path):
    tree = ast.parse(path.read_text())
    name = f"{path.parent.name}/{path.stem}"
    assert f"launch.py --experiment={name}" in (ast.get_docstring(tree) or ""), "the docstring holds the command"
    defined = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    assert {"Config", "build"} <= defined
    presets = next(n.value for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id == "PRESETS")
    names = {k.value for k in presets.keys}
    assert names >= {"quick", "smoke"} and names & {"paper", "resnet18"}, "a paper's, or named after another network"
