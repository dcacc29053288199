"""Arrays that worker processes map instead of copying."""

import pathlib
import pickle
import subprocess
import sys

import numpy as np

from jaxvision.data.shared_arrays import SharedArrays

ROOT = pathlib.Path(__file__).parent.parent.parent


def test_a_pickle_holds_a_name_and_the_arrays_come_back():
    arrays = SharedArrays({"large": np.arange(100_000), "small": np.ones((2, 3), np.float32)})
    text = pickle.dumps(arrays)
    assert len(text) < 1000
    again = pickle.loads(text)
    assert again == arrays and again["large"].dtype == np.int64 and again != SharedArrays({"large": np.arange(3)})
    assert len(pickle.dumps(again)) < 1000
    assert arrays.replaced(small=np.zeros(2))["small"].sum() == 0 and arrays["small"].sum() == 6


def test_the_files_are_gone_when_the_process_ends(tmp_path):
    code = (
        "import pickle, numpy as np; from jaxvision.data.shared_arrays import SharedArrays; "
        "pickle.dumps(SharedArrays({'a': np.arange(9)}))"
    )
    env = {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=env, check=True)
    assert not list(tmp_path.iterdir())
