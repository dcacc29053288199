"""Arrays that worker processes map from one file instead of each unpickling a copy."""

import atexit
import os
import pathlib
import tempfile
from collections.abc import Mapping

import numpy as np


class SharedArrays:
    """Named arrays, read only. Pickled, they are the name of a file that all receiving processes map into memory.

    The file is written when the arrays are pickled for the first time, and removed when this process ends.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._arrays = dict(arrays)
        self._folder: str | None = None

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[name]

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SharedArrays) or self._arrays.keys() != other._arrays.keys():
            return NotImplemented if not isinstance(other, SharedArrays) else False
        return all(np.array_equal(value, other[name]) for name, value in self._arrays.items())

    __hash__ = None  # type: ignore[assignment]

    def replaced(self, **arrays: np.ndarray) -> "SharedArrays":
        """Return the arrays with some of them replaced."""
        return SharedArrays({**self._arrays, **arrays})

    def nbytes(self) -> int:
        """Return the bytes of all arrays."""
        return sum(array.nbytes for array in self._arrays.values())

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="jaxvision-arrays-")
            for name, array in self._arrays.items():
                np.save(pathlib.Path(self._folder) / f"{name}.npy", array)
            atexit.register(_remove, self._folder, os.getpid())
        return _mapped, (self._folder, tuple(self._arrays))


def _mapped(folder: str, names: tuple[str, ...]) -> SharedArrays:
    """Map the arrays that another process wrote."""
    shared = SharedArrays({name: _load(pathlib.Path(folder) / f"{name}.npy") for name in names})
    shared._folder = folder
    return shared


def _load(path: pathlib.Path) -> np.ndarray:
    mapped = np.load(path, mmap_mode="r" if path.stat().st_size > 1 << 16 else None)
    return np.asarray(mapped)


def _remove(folder: str, owner: int) -> None:
    """Remove the files, in the process that wrote them: a forked worker inherits the exit handler."""
    if os.getpid() != owner:
        return
    for path in pathlib.Path(folder).glob("*.npy"):
        path.unlink(missing_ok=True)
    pathlib.Path(folder).rmdir()
