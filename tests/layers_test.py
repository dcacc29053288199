"""Who may import whom: the architecture, read off the import statements."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "jaxvision"

EVERYWHERE = {"channels", "files"}  # what any layer may import
MAY_IMPORT = {
    "channels": set(),
    "files": set(),
    "ops": {"ops"},
    "losses": {"losses", "ops"},
    "models": {"models", "ops"},
    "train": {"train"},
    "tasks": {"tasks", "train.types", "train.steps", "losses", "ops"},
    "data": {"data"},
    "viz": {"viz"},
    "evals": {"evals", "viz", "ops", "train.types"},
    "weights": {"weights", "models"},
    "fits": {"fits", "tasks", "train.types", "train.steps", "losses", "ops"},
    "recipes": {"recipes", "data", "evals", "fits", "losses", "models", "ops", "tasks", "train", "viz", "weights"}
    | {"run.config"},
    "run": {"run", "data", "ops", "train", "viz", "weights", "recipes.pretrained"},
}
NEVER = {
    "channels": {"jax", "flax", "optax", "numpy"},
    "files": {"jax", "flax", "optax", "numpy"},
    "data": {"jax", "flax", "optax", "torch"},
    "viz": {"jax", "flax"},
    "models": {"torch"},
    "ops": {"flax"},
}
PEERS = {"torch", "torchvision", "cv2", "pycocotools", "tensorflow"}


def imports(path: Path) -> set[str]:
    """The dotted names of the modules that a file imports, at any depth of nesting."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return names


@pytest.mark.parametrize("layer", sorted(MAY_IMPORT))
def test_a_layer_imports_only_the_layers_below(layer: str):
    for path in [*PACKAGE.glob(f"{layer}.py"), *PACKAGE.glob(f"{layer}/**/*.py")]:
        for name in imports(path):
            if name.startswith("jaxvision."):
                inner = name.removeprefix("jaxvision.")
                allowed = any(
                    inner == a or inner.startswith(a + ".") or a.startswith(inner + ".")
                    for a in MAY_IMPORT[layer] | EVERYWHERE
                )
                assert allowed, f"{path.relative_to(ROOT)} imports {name}"
            assert name.split(".")[0] not in NEVER.get(layer, set()), f"{path.relative_to(ROOT)} imports {name}"


def test_peers_are_imported_only_by_tests_and_benchmarks():
    for path in [*PACKAGE.glob("**/*.py"), *(ROOT / "experiments").glob("**/*.py"), ROOT / "launch.py"]:
        found = {n.split(".")[0] for n in imports(path)} & PEERS
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
