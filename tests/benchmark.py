"""Scripts of benchmarks/ as modules, one at a time: two of them may have a flag of the same name."""

import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from absl import flags

FOLDER = Path(__file__).parents[1] / "benchmarks"


@contextlib.contextmanager
def imported(name: str) -> Iterator[ModuleType]:
    """Import a script; forget it, the modules beside it that it imports, and their flags at the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        yield importlib.import_module(name)
    for other in [path.stem for path in FOLDER.glob("*.py") if path.stem in sys.modules]:
        del sys.modules[other]
        for flag in list(flags.FLAGS.flags_by_module_dict().get(other, [])):
            delattr(flags.FLAGS, flag.name)
