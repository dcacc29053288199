"""Reader of the pickles in torch's files: a stack machine that builds containers and tensors, and nothing else.

Python's own unpickler imports and calls whatever a file names. This one compares each name with the few below: it
imports nothing, and a file can "call" only functions of this module. Opcodes are those of `pickletools`.
"""

import io
import pickletools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np


class Storage(NamedTuple):
    """A flat array in the file, which several tensors may share."""

    key: str  # its name in the file
    dtype: np.dtype | None  # None: bytes, whose type the tensor gives
    numel: int  # elements
    offset: int = 0  # elements from the start of the stored array


class Tensor(NamedTuple):
    """A view of a storage."""

    storage: Storage
    offset: int  # elements
    shape: tuple[int, ...]
    strides: tuple[int, ...]  # elements
    dtype: np.dtype


class Global(NamedTuple):
    """A name of a class or function in a pickle, one of those that are known."""

    name: str


_MOST_WORK = 1_000_000  # objects; a state dict needs some thirty a tensor

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
    """Read the next pickle in `stream`, with a `Tensor` for each tensor.

    Raises ValueError where the pickle is damaged, and `Refused` where it has an opcode, class or function that files of
    tensors do not need.
    """
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(stream):  # type: ignore[arg-type]
            machine.do(opcode.name, argument)
        return machine.stack.pop()
    except (LookupError, TypeError, AttributeError, OverflowError):
        raise ValueError("a damaged pickle") from None


class _Mark:
    """A mark on the stack, above which the items of a container lie."""


class _Machine:
    """The state of an unpickler: a stack of objects, and the objects that the pickle stored for later."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.work = 0

    def spend(self, work: int) -> None:
        """Count the objects that are handled; ValueError: more than any file of tensors needs."""
        self.work += work
        if self.work > _MOST_WORK:
            raise ValueError(f"a pickle that handles more than {_MOST_WORK:,} objects")

    def do(self, opcode: str, argument: Any) -> None:
        self.spend(1)
        if opcode in _LITERALS:
            self.stack.append(argument)
        elif opcode in _CONSTANTS:
            self.stack.append(_CONSTANTS[opcode]())
        elif opcode in _ACTIONS:
            _ACTIONS[opcode](self, argument)
        elif opcode not in ("PROTO", "FRAME", "STOP"):
            raise Refused(f"the pickle opcode {opcode}")

    def items(self) -> list[Any]:
        """Remove the last mark and all objects above it; return these."""
        place = len(self.stack) - 1
        while not isinstance(self.stack[place], _Mark):  # from the top: an IndexError where there is none
            place -= 1
        taken = self.stack[place + 1 :]
        del self.stack[place:]
        return taken

    def take(self, count: int) -> list[Any]:
        """Remove and return the uppermost `count` objects."""
        if count > len(self.stack):
            raise IndexError
        taken = self.stack[-count:]
        del self.stack[-count:]
        return taken


class Refused(ValueError):
    """The error for a file that asks for anything that tensors do not need."""


def _append(machine: _Machine, values: list[Any]) -> None:
    target = machine.stack[-1]
    if isinstance(target, set):
        target.update(map(_key, values))
    else:
        target.extend(values)


def _set(machine: _Machine, values: list[Any]) -> None:
    machine.stack[-1].update(_dict(values))


def _global(machine: _Machine, name: str) -> None:
    if name not in _CALLS and name not in _STORAGES and name not in _DTYPES:
        raise Refused(name)
    machine.stack.append(Global(name))


def _reduce(machine: _Machine, _: Any) -> None:
    called, arguments = machine.take(2)
    if not isinstance(called, Global) or called.name not in _CALLS:
        raise Refused("a call of something that is no function")
    machine.spend(len(arguments) + sum(len(part) for part in arguments if isinstance(part, tuple | list | dict)))
    machine.stack.append(_CALLS[called.name](*arguments))


def _build(machine: _Machine, _: Any) -> None:
    """Drop the state of an object: the versions of modules that `state_dict` puts on its OrderedDict."""
    machine.stack.pop()
    if not isinstance(machine.stack[-1], dict):
        raise Refused("state of something that is no dictionary")


def _persistent(machine: _Machine, _: Any) -> None:
    """Read ('storage', type, key, device, numel) and, in old files, (key, offset, numel) of a part of the storage."""
    kind, storage_type, key, _device, numel, *part = machine.stack.pop()
    if kind != "storage" or storage_type.name not in _STORAGES:
        raise Refused(f"a stored {kind if isinstance(kind, str) else 'object'}")
    if not isinstance(key, str | int):
        raise ValueError("a storage without a name")
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
    "collections.OrderedDict": lambda pairs=(): {_key(key): value for key, value in pairs},
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
    return dict(zip(map(_key, values[::2]), values[1::2], strict=True))


def _key(value: Any) -> Any:
    """Return a key; ValueError for one whose hash would take long, as of tuples of tuples of tuples."""
    parts = value if isinstance(value, tuple) else (value,)
    if not all(part is None or isinstance(part, str | int | float | bytes) for part in parts):
        raise ValueError("a key that is no text or number")
    return value


def tensors(tree: Any) -> Iterator[Tensor]:
    """Yield every tensor in nested containers, each of which is looked through once, however often it occurs."""
    waiting, seen = [tree], set[int]()
    while waiting:
        value = waiting.pop()
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, dict | list | tuple | set) and id(value) not in seen:
            seen.add(id(value))
            waiting.extend(value.values() if isinstance(value, dict) else value)
