"""Every public name has an example in its docstring, and the example does what it says."""

import doctest
import functools
import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

PACKAGES = ("ops", "losses", "models", "evals")
PUBLIC = [f"{name}.{public}" for name in PACKAGES for public in importlib.import_module(f"jaxvision.{name}").__all__]
CLASSIFIERS = Path(__file__).parents[1] / "experiments" / "classification"


def documented(value: Any) -> Any:
    """The class or function whose docstring it is: a variant, such as ResNet50, has its network's."""
    return value.func if isinstance(value, functools.partial) else value


@pytest.mark.parametrize("name", PUBLIC)
def test_an_example_does_what_it_says(name: str):
    package = importlib.import_module(f"jaxvision.{name.partition('.')[0]}")
    names = {public: getattr(package, public) for public in package.__all__}
    value = documented(names[name.partition(".")[2]])
    (test,) = doctest.DocTestFinder(recurse=False).find(
        value, name, module=False, globs={**names, "jax": jax, "jnp": jnp, "np": np}
    )
    assert test.examples, f"{name} has no example"
    printed: list[str] = []
    failed, _ = doctest.DocTestRunner(verbose=False).run(test, out=printed.append)
    assert not failed, "".join(printed)


def test_importing_the_public_names_or_classification_starts_nothing_heavy():
    """In one process: first the public names, then all that training a classifier on digits needs at its start."""
    public = ", ".join(f"jaxvision.{package}" for package in PACKAGES)
    classifiers = sorted(path.stem for path in CLASSIFIERS.glob("[a-z]*.py"))
    assert "resnet" in classifiers
    experiments = ", ".join(f"experiments.classification.{name}" for name in classifiers)
    heavy = ("sklearn", "skimage", "matplotlib", "h5py", "scipy", "tensorflow", "tensorflow_datasets")
    code = [
        f"import sys, {public}",
        f"print([name for name in {(*heavy, 'grain')} if name in sys.modules])",
        f"import jaxvision.run.session, {experiments}",
        "from jaxvision.data import sources; assert len(sources.load('digits', 'labels').splits['val']) == 359",
        f"print([name for name in {heavy} if name in sys.modules])",
    ]
    command = [sys.executable, "-c", "\n".join(code)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, cwd=CLASSIFIERS.parents[1])
    assert done.stdout == "[]\n[]\n"
