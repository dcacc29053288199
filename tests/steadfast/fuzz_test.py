"""Every reader of foreign files gives one line that names the file, or the right answer, whatever the file holds.

The short form runs 200 cases, the long one 2,100, each in a process that does nothing else, so that memory is measured.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.steadfast.own_files import ALL

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("each", [10, pytest.param(100, marks=pytest.mark.long)])
def test_damaged_files(each: int):
    # The readers of darknet and of workdirs import jax, for seconds: only the long form has them.
    names = [name for name in ALL if name != "darknet" or each > 10]
    command = [sys.executable, "-W", "ignore", "-m", "tests.steadfast.fuzz", str(each * len(names)), *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["failures"] == [] and found["megabytes"] < 1000
    assert sum(found["counts"].values()) == each * len(names) and found["counts"]["line"] > each
