"""State dicts (tensors by name) from files of torch, safetensors and NumPy."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

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
    content = {".safetensors": _safetensors, ".npz": _npz}.get(Path(file).suffix, torch_file.read)(file)
    for key in _INSIDE:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    tensors = {k: v for k, v in content.items() if isinstance(v, np.ndarray)} if isinstance(content, Mapping) else {}
    if not tensors:
        raise ValueError(f"{file}: no tensors by name; it should hold a state_dict")
    for prefix in _WRAPPERS:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return {name: _float32(value) for name, value in tensors.items()}


def write(file: str, tensors: Mapping[str, np.ndarray]) -> None:
    """Write a .safetensors file, which torch loads with `safetensors.torch.load_file`."""
    save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, file, {"format": "pt"})


def _float32(value: np.ndarray) -> np.ndarray:
    return value.astype(np.float32) if value.dtype in _OTHER_FLOATS else value


def _safetensors(file: str) -> Any:
    try:
        return load_file(file)
    except SafetensorError as error:
        raise ValueError(f"{file}: cut short, or no safetensors file ({error})") from None


def _npz(file: str) -> Any:
    try:
        with np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file}: cut short, or no .npz of plain arrays ({error})") from None
