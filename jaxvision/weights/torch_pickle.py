"""The pickles inside torch's files, read by a stack machine that builds containers and tensors and nothing else.

Python's own unpickler imports and calls whatever a file names. Here a name is only ever compared with the few below:
nothing is imported, and what a file may "call" are the functions of this module. Opcodes are those of `pickletools`.
"""

import io
import pickletools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np


class Storage(NamedTuple):
    """A flat array somewhere in the file, which several tensors may share."""

    key: str
    dtype: np.dtype | None  # None: bytes, whose type the tensor says
    numel: int
    offset: int = 0  # elements from the start of the stored array


class Tensor(NamedTuple):
    """A view of a storage; offset and strides count elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype


class Global(NamedTuple):
    """A name that a pickle mentions, one of those that are known."""

    name: str


_TYPES: Mapping[str, np.dtype | None] = {
    "Float": np.dtype(np.float32),
    "Double": np.dtype(np.float64),
    "Half": np.dtype(np.float16),
    "BFloat16": np.dtype(ml_dtypes.bfloat16),
    "Long": np.dtype(np.int64),
    "Int": np.dtype(np.int32),
    "Short": np.dtype(np.int16),
    "Char": np.dtype(np.int8),
    "Byte": np.dtype(np.uint8),
    "Bool": np.dtype(np.bool_),
    "Untyped": None,
}
_STORAGES = {f"torch.{kind}Storage": dtype for kind, dtype in _TYPES.items()} | {"torch.storage.UntypedStorage": None}
_DTYPES = {f"torch.{dtype.name}": dtype for dtype in _TYPES.values() if dtype is not None}


def load(stream: io.BufferedIOBase) -> Any:
    """The object of the next pickle in `stream`, with `Tensor` in the place of tensors.

    ValueError names an opcode, a class or a function that no tensors need, or says that the pickle is damaged.
    """
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(stream):  # type: ignore[arg-type]
            machine.do(opcode.name, argument)
        return machine.stack.pop()
    except (LookupError, TypeError, AttributeError):
        raise ValueError("a damaged pickle") from None


class _Mark:
    """Where the items of a container begin on the stack."""


class _Machine:
    """The state of an unpickler: a stack of objects, and those it was told to remember."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def do(self, opcode: str, argument: Any) -> None:
        if opcode in _LITERALS:
            self.stack.append(argument)
        elif opcode in _CONSTANTS:
            self.stack.append(_CONSTANTS[opcode]())
        elif opcode in _ACTIONS:
            _ACTIONS[opcode](self, argument)
        elif opcode not in ("PROTO", "FRAME", "STOP"):
            raise Refused(f"the pickle opcode {opcode}")

    def items(self) -> list[Any]:
        """What lies above the last mark, taken off together with it."""
        place = max(i for i, value in enumerate(self.stack) if isinstance(value, _Mark))
        found = self.stack[place + 1 :]
        del self.stack[place:]
        return found

    def take(self, count: int) -> list[Any]:
        """The uppermost `count` objects, taken off."""
        if count > len(self.stack):
            raise IndexError
        found = self.stack[-count:]
        del self.stack[-count:]
        return found


class Refused(ValueError):
    """A file asks for something that no tensors need."""


def _append(machine: _Machine, values: list[Any]) -> None:
    target = machine.stack[-1]
    if isinstance(target, set):
        target.update(values)
    else:
        target.extend(values)


def _set(machine: _Machine, values: list[Any]) -> None:
    machine.stack[-1].update(zip(values[::2], values[1::2], strict=True))


def _global(machine: _Machine, name: str) -> None:
    if name not in _CALLS and name not in _STORAGES and name not in _DTYPES:
        raise Refused(name)
    machine.stack.append(Global(name))


def _reduce(machine: _Machine, _: Any) -> None:
    called, arguments = machine.take(2)
    if not isinstance(called, Global) or called.name not in _CALLS:
        raise Refused("a call of something that is no function")
    machine.stack.append(_CALLS[called.name](*arguments))


def _build(machine: _Machine, _: Any) -> None:
    """State set on an object: the versions of modules that `state_dict` notes on its OrderedDict, of no use here."""
    machine.stack.pop()
    if not isinstance(machine.stack[-1], dict):
        raise Refused("state of something that is no dictionary")


def _persistent(machine: _Machine, _: Any) -> None:
    """('storage', type, key, device, numel) and, in old files, (key, offset, numel) of a part of it."""
    kind, storage_type, key, _device, numel, *part = machine.stack.pop()
    if kind != "storage" or storage_type.name not in _STORAGES:
        raise Refused(f"a stored {kind}")
    offset = 0
    if part and part[0]:
        _, offset, numel = part[0]
    machine.stack.append(Storage(str(key), _STORAGES[storage_type.name], int(numel), int(offset)))


def _put(machine: _Machine, place: Any) -> None:
    machine.memo[len(machine.memo) if place is None else int(place)] = machine.stack[-1]


def _tensor(
    storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *rest: Any
) -> Tensor:  # rest: requires_grad, hooks
    if storage.dtype is None:
        raise Refused("a tensor without a type")
    return Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)), storage.dtype)


def _typed_tensor(storage: Storage, offset: int, shape: Any, strides: Any, _grad: Any, _hooks: Any, dtype: Global,
                  *rest: Any) -> Tensor:  # fmt: skip
    kind = _DTYPES[dtype.name]
    return Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)), kind)


_CALLS: Mapping[str, Callable[..., Any]] = {
    "collections.OrderedDict": lambda *pairs: dict(*pairs),
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _typed_tensor,
    "torch._utils._rebuild_parameter": lambda data, *_: data,
    "torch.Size": tuple,
}
_LITERALS = frozenset(
    ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING")
    + ("SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8")
)
_CONSTANTS: Mapping[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": set,
    "MARK": _Mark,
}
_ACTIONS: Mapping[str, Callable[[_Machine, Any], Any]] = {
    "LIST": lambda m, _: m.stack.append(m.items()),
    "TUPLE": lambda m, _: m.stack.append(tuple(m.items())),
    "DICT": lambda m, _: m.stack.append(_dict(m.items())),
    "TUPLE1": lambda m, _: m.stack.append(tuple(m.take(1))),
    "TUPLE2": lambda m, _: m.stack.append(tuple(m.take(2))),
    "TUPLE3": lambda m, _: m.stack.append(tuple(m.take(3))),
    "APPEND": lambda m, _: _append(m, m.take(1)),
    "APPENDS": lambda m, _: _append(m, m.items()),
    "ADDITEMS": lambda m, _: _append(m, m.items()),
    "SETITEM": lambda m, _: _set(m, m.take(2)),
    "SETITEMS": lambda m, _: _set(m, m.items()),
    "POP": lambda m, _: m.stack.pop(),
    "PUT": _put,
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "MEMOIZE": _put,
    "GET": lambda m, place: m.stack.append(m.memo[int(place)]),
    "BINGET": lambda m, place: m.stack.append(m.memo[place]),
    "LONG_BINGET": lambda m, place: m.stack.append(m.memo[place]),
    "GLOBAL": lambda m, names: _global(m, names.replace(" ", ".")),
    "STACK_GLOBAL": lambda m, _: _global(m, ".".join(m.take(2))),
    "REDUCE": _reduce,
    "BUILD": _build,
    "BINPERSID": _persistent,
}


def _dict(values: list[Any]) -> dict[Any, Any]:
    return dict(zip(values[::2], values[1::2], strict=True))


def tensors(tree: Any) -> Iterator[Tensor]:
    """Every tensor in nested containers."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, dict | list | tuple | set):
        for value in tree.values() if isinstance(tree, dict) else tree:
            yield from tensors(value)
