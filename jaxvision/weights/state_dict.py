"""State dicts (tensors by name) from files of torch, safetensors and NumPy."""

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from jaxvision import foreign
from jaxvision.weights import torch_file

Tensors = dict[str, np.ndarray]

_INSIDE = ("state_dict", "model", "model_state_dict", "net")  # keys of the state dict in a checkpoint
_WRAPPERS = ("module.", "_orig_mod.")  # prefixes that DataParallel and torch.compile put before every name
_OTHER_FLOATS = (np.float16, np.float64, ml_dtypes.bfloat16)


def read(file: str) -> Tensors:
    """Read the tensors of a .safetensors, .npz or torch file; those of floating point become float32.

    The state dict may be an entry of a checkpoint, and prefixes of wrappers are removed from its names.

    Raises ValueError, in one line, where the file is damaged or holds no tensors by name.
    """
    with foreign.named(file):
        return _tensors(file)


def _tensors(file: str) -> Tensors:
    foreign.opened(file).close()  # refuses pipes and devices
    content = {".safetensors": _safetensors, ".npz": _npz}.get(Path(file).suffix, torch_file.read)(file)
    for key in _INSIDE:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    tensors = {k: v for k, v in content.items() if isinstance(v, np.ndarray)} if isinstance(content, Mapping) else {}
    if not tensors:
        raise ValueError(f"{file}: no tensors by name; it should hold a state_dict")
    _check(tensors, os.path.getsize(file))
    for prefix in _WRAPPERS:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return {name: _float32(value) for name, value in tensors.items()}


def write(file: str, tensors: Mapping[str, np.ndarray]) -> None:
    """Write a .safetensors file, which torch loads with `safetensors.torch.load_file`."""
    save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, file, {"format": "pt"})


def _check(tensors: Mapping[Any, np.ndarray], size: int) -> None:
    """Check names and types; ValueError: a name is no text, a tensor holds no numbers, or all take too much memory."""
    for name, value in tensors.items():
        if not isinstance(name, str):
            raise ValueError(f"a tensor's name is {foreign.shortened(repr(name), 40)}, which is no text")
        if value.dtype not in _OTHER_FLOATS and value.dtype.kind not in "fiub":
            raise ValueError(f"tensor {foreign.shortened(name, 200)}: its type {value.dtype} is not read; save float32")
    foreign.check_unpacked(size, sum(4 * value.size for value in tensors.values()))


def _float32(value: np.ndarray) -> np.ndarray:
    return value.astype(np.float32) if value.dtype in _OTHER_FLOATS else value


def _safetensors(file: str) -> Any:
    try:
        return load_file(file)
    except (SafetensorError, KeyError) as error:  # KeyError: a type that NumPy has not
        raise ValueError(f"{file}: cut short, or no safetensors file ({error})") from None


def _npz(file: str) -> Any:
    try:
        with zipfile.ZipFile(file) as packed:
            foreign.check_unpacked(os.path.getsize(file), sum(entry.file_size for entry in packed.infolist()))
        with np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # NumPy, zipfile and zlib raise many kinds
        raise ValueError(f"{file}: cut short, or no .npz of plain arrays ({foreign.reason(error)})") from None
