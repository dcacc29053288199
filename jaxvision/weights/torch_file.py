"""Reader of the files of `torch.save` without torch: the zip archive, and the stream from before version 1.6.

Nothing in a file is executed (see `torch_pickle`). Tensors are views of the memory-mapped file, so that opening it
takes neither time nor memory before values are used.
"""

import io
import math
import os
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import UInt8

from jaxvision import foreign
from jaxvision.weights import torch_pickle
from jaxvision.weights.torch_pickle import Refused, Storage, Tensor

Bytes = UInt8[np.ndarray, "_N"]
MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of a file from before version 1.6
_UNDER_WAY = object()
_EXPANDED = 2**20  # values of a tensor that may repeat those of a smaller storage
_SAVE_AGAIN = "save what it holds of tensors again, as torch.save(model.state_dict(), FILE)"


def read(file: str) -> Any:
    """Read the saved object with NumPy arrays instead of tensors; bfloat16 is that of `ml_dtypes`.

    Raises ValueError, in one line, where the file is damaged or of another format, or names a class or function other
    than those of containers, numbers, texts and tensors.
    """
    with foreign.named(file), foreign.opened(file) as stream:
        start = stream.read(4)
        stream.seek(0)
        try:
            if start == b"PK\x03\x04":
                return _archive(file)
            if start[:2] != b"\x80\x02":
                raise ValueError("it begins like no such file")
            return _stream(file, stream)
        except Refused as error:
            raise ValueError(f"{file}: refused, since it asks for {foreign.reason(error)}; {_SAVE_AGAIN}") from None
        except Exception as error:  # whatever a damaged file leads to
            raise ValueError(f"{file}: cut short, or no file of torch.save ({foreign.reason(error)})") from None


def _archive(file: str) -> Any:
    with zipfile.ZipFile(file) as archive:
        packed = [entry for entry in archive.infolist() if entry.compress_type != zipfile.ZIP_STORED]
        foreign.check_unpacked(os.path.getsize(file), sum(entry.file_size for entry in packed))
        root = next((n.removesuffix("data.pkl") for n in archive.namelist() if n.endswith("data.pkl")), None)
        if root is None:
            raise ValueError("no data.pkl in the archive")
        if f"{root}byteorder" in archive.namelist() and archive.read(f"{root}byteorder") != b"little":
            raise ValueError("saved on a big-endian machine")
        tree = torch_pickle.load(io.BytesIO(archive.read(f"{root}data.pkl")))
        mapped = np.memmap(file, np.uint8, "r")
        storages: dict[str, Bytes] = {}
        for key in {tensor.storage.key for tensor in torch_pickle.tensors(tree)}:
            storages[key] = _entry(archive, archive.getinfo(f"{root}data/{key}"), mapped)
    return _resolved(tree, lambda storage: storages[storage.key])


def _entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo, mapped: Bytes) -> Bytes:
    """Return the bytes of an entry, as a view of the file unless they are compressed."""
    if info.compress_type != zipfile.ZIP_STORED:
        return np.frombuffer(archive.read(info), np.uint8)
    # The entry's own header repeats the name, with padding that the archive's directory leaves out.
    name, padding = mapped[info.header_offset + 26 : info.header_offset + 30].view("<u2")
    start = info.header_offset + 30 + int(name) + int(padding)
    return mapped[start : start + info.file_size]


def _stream(file: str, stream: io.BufferedIOBase) -> Any:
    """Read five pickles (a magic number, a version, sizes, the object, the storages' keys), then the storages."""
    if torch_pickle.load(stream) != MAGIC:
        raise ValueError("the magic number is missing")
    _, system, tree, keys = (torch_pickle.load(stream) for _ in range(4))
    if not system.get("little_endian", True):
        raise ValueError("saved on a big-endian machine")
    sizes = {tensor.storage.key: tensor.dtype.itemsize for tensor in torch_pickle.tensors(tree)}
    mapped, storages = np.memmap(file, np.uint8, "r"), {}
    for key in keys:
        if key not in sizes:
            raise ValueError(f"storage {key} is of no tensor")
        length = int.from_bytes(stream.read(8), "little") * sizes[key]
        storages[key] = mapped[stream.tell() : stream.tell() + length]
        stream.seek(length, io.SEEK_CUR)
    return _resolved(tree, lambda storage: storages[storage.key])


def _resolved(tree: Any, content: Callable[[Storage], Bytes], done: dict[int, Any] | None = None) -> Any:
    """Return nested containers with arrays in place of tensors; one that occurs many times is made once."""
    done = {} if done is None else done
    if not isinstance(tree, Tensor | dict | list | tuple):
        return tree
    if id(tree) not in done:
        done[id(tree)] = _UNDER_WAY
        if isinstance(tree, Tensor):
            done[id(tree)] = _array(tree, content(tree.storage))
        elif isinstance(tree, dict):
            done[id(tree)] = {key: _resolved(value, content, done) for key, value in tree.items()}
        else:
            done[id(tree)] = [_resolved(value, content, done) for value in tree]
    if done[id(tree)] is _UNDER_WAY:
        raise ValueError("a container that holds itself")
    return done[id(tree)]


def _array(tensor: Tensor, content: Bytes) -> np.ndarray:
    """Return the tensor as a view of its storage, for any strides."""
    size = tensor.dtype.itemsize
    first = tensor.storage.offset + tensor.offset
    if min((first, *tensor.shape, *tensor.strides)) < 0 or len(tensor.shape) != len(tensor.strides):
        raise ValueError("a tensor with a negative size")
    if 0 in tensor.shape:
        return np.zeros(tensor.shape, tensor.dtype)
    if math.prod(tensor.shape) > max(content.size, _EXPANDED):
        raise ValueError(f"a tensor of {math.prod(tensor.shape):,} values in a storage of {content.size:,} bytes")
    last = first + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.strides, strict=True))
    if (last + 1) * size > content.size:
        raise ValueError("a tensor reaches past the end of its storage")
    flat = content[first * size : (last + 1) * size].view(tensor.dtype)
    strides = [step * size for step in tensor.strides]
    return np.lib.stride_tricks.as_strided(flat, tensor.shape, strides, writeable=False)
