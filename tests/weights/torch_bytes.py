"""Files as `torch.save` writes them, put together by hand: tests of reading them need no torch."""

import io
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

KINDS = {"float32": "Float", "float16": "Half", "bfloat16": "BFloat16", "int64": "Long"}
MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001


def text(value: str) -> bytes:
    return b"X" + len(value.encode()).to_bytes(4, "little") + value.encode()


def number(value: int) -> bytes:
    return b"J" + value.to_bytes(4, "little")


def numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor(
    key: str,
    kind: str,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    numel: int,
    offset: int = 0,
    part: bytes = b"",
) -> bytes:
    """The call that rebuilds a tensor; `part` is what old files add to the storage's description."""
    storage = b"(" + text("storage") + f"ctorch\n{kind}Storage\n".encode() + text(key) + text("cpu") + number(numel)
    hooks = b"ccollections\nOrderedDict\n)R"
    arguments = storage + part + b"tQ" + number(offset) + numbers(shape) + numbers(strides) + b"\x89" + hooks
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"tR"


def dictionary(items: Mapping[str, bytes]) -> bytes:
    """An OrderedDict with the `_metadata` that state dicts carry."""
    pairs = b"".join(text(name) + value for name, value in items.items())
    state = b"}" + text("_metadata") + b"}s"
    return b"ccollections\nOrderedDict\n)R(" + pairs + b"u" + state + b"b"


def pickled(value: bytes) -> bytes:
    return b"\x80\x02" + value + b"."


def described(arrays: Mapping[str, np.ndarray], part: bytes = b"") -> bytes:
    """The pickle of a state dict, every array in a storage of its own."""
    items = {}
    for key, (name, value) in enumerate(_dense(arrays).items()):
        strides = tuple(step // value.itemsize for step in value.strides)
        items[name] = tensor(str(key), KINDS[value.dtype.name], value.shape, strides, value.size, part=part)
    return dictionary(items)


def archive(path: Path, content: bytes, storages: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    """The format of today."""
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("archive/data.pkl", pickled(content))
        file.writestr("archive/byteorder", "little")
        for key, data in storages.items():
            file.writestr(f"archive/data/{key}", data)
    return path


def saved(path: Path, arrays: Mapping[str, np.ndarray]) -> Path:
    """A state dict in the format of today."""
    return archive(path, described(arrays), {str(i): v.tobytes("A") for i, v in enumerate(_dense(arrays).values())})


def saved_long_ago(path: Path, arrays: Mapping[str, np.ndarray]) -> Path:
    """A state dict in the format of before version 1.6."""
    stream = io.BytesIO()
    for value in (MAGIC, VERSION, {"protocol_version": VERSION, "little_endian": True}):
        stream.write(pickle.dumps(value, 2))
    stream.write(pickled(described(arrays, part=b"N")))
    stream.write(pickle.dumps([str(i) for i in range(len(arrays))], 2))
    for value in _dense(arrays).values():
        stream.write(value.size.to_bytes(8, "little") + value.tobytes("A"))
    path.write_bytes(stream.getvalue())
    return path


def _dense(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each array without gaps, by rows or by columns."""
    return {k: v if v.flags.f_contiguous else np.asarray(v, order="C") for k, v in arrays.items()}
