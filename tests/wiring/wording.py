"""The words in which a table names data, transforms, networks, optimizers and other settings."""

import dataclasses
import functools
import inspect
import types
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from jaxvision.data.canvas import Canvases
from jaxvision.data.order import GroupedByShape, InShares
from jaxvision.data.prepared import Prepared
from jaxvision.data.proposals import Proposed, Searched
from jaxvision.data.records import Records, Source, Subset
from jaxvision.data.windows import Windows
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Hook, Stage, Task
from tests.wiring.doubles import MEAN, STD, Looking, Reading, Split, Updates, Weights

PARTS = ("backbone", "rpn", "box_head", "mask_head")  # of a detector, each of which may be frozen


def reading(data: Reading) -> str:
    """Name records, transforms and batch, such as "train | center_crop(size=32, shorter=32) | shuffled, by 8"."""
    order = {"evaluate": "in order", "train": "shuffled"}[data.kind]
    if isinstance(data.order, GroupedByShape):
        order += " by shape"
    if isinstance(data.order, InShares):
        order += f", {data.order.count} of objects"
    return f"{records(data.records)} | {transforms(data.transform)} | {order}, by {data.batch_size}"


def records(given: Records) -> str:
    """Name a split, and what was made of it."""
    if isinstance(given, Split):
        return given.split
    if isinstance(given, Prepared):
        return f"{records(given.records)} ({transforms(given.transform)})"
    if isinstance(given, Proposed):
        return f"{records(given.parent)} with proposals ({given.proposals.folder})"
    if isinstance(given, Searched):
        return f"{records(given.parent)} with proposals ({given.strategy}, at most {given.max_boxes})"
    if isinstance(given, Windows):
        return f"windows of {records(given.parent)}"
    if not isinstance(given, Subset):
        return type(given).__name__
    first, last = int(given.indices[0]), int(given.indices[-1]) + 1
    if np.array_equal(given.indices, np.arange(first, last)):
        return f"{records(given.parent)}[{first}:{last}]"
    return f"{len(given)} of {records(given.parent)}"


def transforms(transform: Any) -> str:
    """Name a transform, or a chain of them one after the other; "unchanged" if it has none."""
    chain = transform.keywords.get("transforms") if isinstance(transform, functools.partial) else None
    if chain is None:
        return value(transform)
    return " | ".join(map(transforms, chain)) or "unchanged"


def readings(run: Any) -> list[Reading]:
    """Find the data that the `run` of a hook reads: its own, and those of hooks that it runs."""
    return list({id(data): data for data in _readings(run)}.values())


def _readings(run: Any) -> list[Reading]:
    if isinstance(run, Reading):
        return [run]
    if isinstance(run, Looking):
        return _readings(run.data)
    if isinstance(run, Hook):
        return _readings(run.run)
    if isinstance(run, functools.partial):
        return _readings((run.func, *run.args, *run.keywords.values()))
    if isinstance(run, types.FunctionType):
        if run.__qualname__.startswith("lazily."):
            return _readings(run(0, 1))
        return _readings(tuple(cell.cell_contents for cell in inspect.unwrap(run).__closure__ or ()))
    if isinstance(run, tuple | list):
        return [data for one in run for data in _readings(one)]
    return []


def start(stage: Stage) -> str:
    """Name the function that gives a stage the states of those before, also of a stage with another name."""
    given: Any = inspect.unwrap(stage.warm_start) if inspect.isfunction(stage.warm_start) else None
    inner = inspect.getclosurevars(given).nonlocals.get("stage") if given else None
    return start(inner) if isinstance(inner, Stage) else value(stage.warm_start)


def trained(trainable: Any) -> str:
    """Name the parts of a detector whose parameters are trained."""
    return ", ".join(part for part in PARTS if trainable(f"{part}/layer/kernel"))


def settings(name: str, given: Any) -> dict[str, str]:
    """Return a setting by name; of an optimizer or a Config each field by its own name."""
    if isinstance(given, Updates):
        return _optimizer(name, given)
    if isinstance(given, Task):  # whose own settings stand above
        return {}
    if name == "trainable":
        return {name: trained(given)}
    if dataclasses.is_dataclass(given) and not isinstance(given, nn.Module | type):
        return {f"{name}.{field.name}": value(getattr(given, field.name)) for field in dataclasses.fields(given)}
    return {name: value(given)}


def _optimizer(name: str, updates: Updates) -> dict[str, str]:
    """Name the settings that every optimizer has in one line, and in one each the others that are not usual."""
    o, usual = updates.optimizer, Optimizer()
    decayed = "all parameters" if o.decay_norms else "no norms and biases"
    first = f"{o.rule} {o.momentum:g}, lr {o.lr:g} {o.schedule} over {updates.steps} steps"
    rest = {f.name: getattr(o, f.name) for f in dataclasses.fields(o)}
    for field in ("rule", "lr", "momentum", "schedule", "weight_decay", "decay_norms"):
        del rest[field]
    others = {f"{name}.{key}": value(found) for key, found in rest.items() if found != getattr(usual, key)}
    return {name: first, f"{name}.decay": f"{o.weight_decay:g}, {decayed}", **others}


def value(given: Any) -> str:
    """Name a value, a network, a function or a transform."""
    if isinstance(given, tuple) and given in (MEAN, STD):
        return "the data's mean" if given == MEAN else "the data's std"
    if isinstance(given, Weights):
        return given.origin
    if isinstance(given, np.ndarray | jax.Array):
        return f"array {'×'.join(map(str, given.shape))}"
    if isinstance(given, Source):
        return "the data"
    if isinstance(given, Canvases):
        return f"Canvases({given.short}, {given.long})"
    if isinstance(given, Stage):
        return f"stage {given.name}"
    if isinstance(given, Task):
        return "the task"
    if isinstance(given, float):
        return f"{given:g}"
    if isinstance(given, Reading):
        return reading(given)
    if isinstance(given, Mapping):
        return f"{{{', '.join(f'{key}: {value(one)}' for key, one in given.items())}}}"
    if isinstance(given, tuple) and hasattr(given, "_fields"):
        return _call(type(given).__name__, given._asdict())
    if isinstance(given, tuple | list):
        return f"({', '.join(map(value, given))})"
    if isinstance(given, functools.partial):
        return _call(_name(given.func), {**dict(enumerate(given.args)), **given.keywords})
    if isinstance(given, type):
        return given.__name__
    if isinstance(given, types.FunctionType | types.MethodType):
        return _function(given)
    if dataclasses.is_dataclass(given):
        return _call(type(given).__name__, _changed(given) if isinstance(given, nn.Module) else vars(given))
    return str(given) if isinstance(given, str | int | type(None)) else type(given).__name__


def _call(name: str, given: Mapping[Any, Any]) -> str:
    words = [value(one) if isinstance(key, int) else f"{key}={value(one)}" for key, one in given.items()]
    return f"{name}({', '.join(words)})" if words else name


def _name(function: Any) -> str:
    return getattr(function, "__name__", type(function).__name__).lstrip("_")


def _function(function: Any) -> str:
    """Name a function; one that another function made by that one's name, with what it remembers."""
    function = inspect.unwrap(function)  # without the check of its annotations
    maker, inner, _ = function.__qualname__.partition(".<locals>")
    cells = getattr(function, "__closure__", None) or ()
    names = function.__code__.co_freevars
    if not inner:
        return _name(function)
    kept = {name: cell.cell_contents for name, cell in zip(names, cells, strict=True)}
    return _call(maker, {n: v for n, v in kept.items() if not isinstance(v, types.FunctionType)})


def _changed(given: Any) -> dict[str, Any]:
    """Return the fields of a network that have another value than its class gives them."""
    names = [field for field in dataclasses.fields(given) if field.name not in ("parent", "name")]
    fields = {field.name: (getattr(given, field.name), field) for field in names}
    return {name: found for name, (found, field) in fields.items() if not _same(found, field.default)}


def _same(one: Any, other: Any) -> bool:
    return one is other or (type(one) is type(other) and bool(np.all(one == other)))
