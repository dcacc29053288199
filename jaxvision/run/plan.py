"""`--mode=plan`: what a step of each stage holds and sends, before any data is there and anything is compiled for it.

On a GPU or a TPU the program of one device is compiled, and the memory of its values is the compiler's; on a CPU it is
that of the traced program (`run.memory`). Neither has the memory that libraries take for themselves.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax

from jaxvision.data.inputs import Inputs
from jaxvision.run.experiments import experiments, load
from jaxvision.run.precision import products
from jaxvision.run.program import Program, bytes_of, collectives, trace, traced_bytes
from jaxvision.run.request import Flags, Request
from jaxvision.train.devices import first_batch
from jaxvision.train.types import Experiment, Stage, Task

GB = 1e9
FULL = 0.9  # share of a device's memory that a plan may take: the rest is for libraries, and for gaps
_COLUMNS = ("experiment, stage", "batch", "devices", "parameters", "state", "float32", "bfloat16", "sent", "fits")


class Plan(NamedTuple):
    """The bytes that one device holds and sends in a step of a stage."""

    stage: str
    rows: int  # of the global batch
    devices: int  # that share it
    parameters: int
    state: int  # bytes of parameters, optimizer, statistics and what the task carries
    batch: int  # bytes of this device's rows
    values: int  # bytes of what the step makes and still needs: activations, gradients
    compiled: bool  # whether `values` is the compiler's
    parameter_bytes: int
    sent: dict[str, int]  # bytes by kind of collective

    @property
    def total(self) -> int:
        """Return all bytes of a device."""
        return self.state + self.batch + self.values


def text(request: Request, module: Any) -> str:
    """Return the plan of an experiment, a paragraph for each of its training stages.

    Args:
        request: the experiment's settings, and the flags with devices, memory and precision.
        module: the experiment's module.

    Raises:
        ValueError: the data is not there, and nothing is published of it.
    """
    flags = request.flags
    plans = list(_plans(module, request.config, flags.precision, flags.devices))
    if not plans:
        return f"{request.experiment}: no stage takes training steps, so there is nothing to plan"
    lines = [f"{request.experiment}, {flags.precision}, devices of {flags.memory:g} GB"]
    for plan in plans:
        lines += _paragraph(plan, flags)
    return "\n".join(lines)


def table(preset: str, devices: int, memory: float) -> str:
    """Return a table in Markdown of a preset of every experiment that has it.

    Args:
        preset: its name.
        devices: the most that share a batch; fewer where it does not divide by them.
        memory: GB of each.

    Returns:
        A row for each training stage; of stages of one experiment that are alike the first.

    Raises:
        ValueError: no experiment has the preset.
    """
    rows = [_COLUMNS, ("---",) * len(_COLUMNS)]
    for name in experiments():
        module = load(name)
        if preset not in module.PRESETS:
            continue
        known: set[tuple[Any, ...]] = set()
        both = (_plans(module, module.PRESETS[preset], of, devices) for of in ("float32", "bfloat16"))
        for full, half in zip(*both, strict=True):
            row = (full.rows, full.devices, *_sizes(full, half, memory))
            if row not in known:
                rows.append((f"`{name}`, {full.stage}", *map(str, row)))
                known.add(row)
        jax.clear_caches()
    if len(rows) == 2:
        raise ValueError(
            f"--preset={preset}: no experiment has a preset of this name that trains; paper and quick exist"
        )
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _plans(module: Any, config: Any, precision: str, devices: int) -> Iterator[Plan]:
    """Yield a plan for each stage that takes training steps."""
    experiment: Experiment = module.build(config, Inputs(precision=precision, shapes_only=True))
    for stage in experiment.stages:
        if stage.steps and stage.data is not None:
            with products(precision):
                plan = plan_of(stage, devices)
            yield plan


def plan_of(stage: Stage, devices: int) -> Plan:
    """Plan a stage on as many of `devices` as its batch divides by."""
    assert stage.data is not None
    batch = first_batch(stage.data)
    rows = len(next(iter(batch.values())))
    sharing = math.gcd(rows, devices)
    program = trace(stage.task, batch, sharing)
    compiled = jax.default_backend() != "cpu"
    return Plan(
        stage.name,
        rows,
        sharing,
        sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(program.state.params)),
        bytes_of(program.state),
        bytes_of(program.batch),
        compiled_bytes(stage.task, program) if compiled else traced_bytes(program),
        compiled,
        bytes_of(program.state.params),
        collectives(program.jaxpr),
    )


def compiled_bytes(task: Task, program: Program) -> int:
    """Compile the step of one device, and return the bytes that the compiler set aside for its values.

    Results count too, but for those that are written over the old state.
    """
    step = jax.jit(task.step, donate_argnums=0).lower(program.state, program.batch).compile()
    analysis: Any = step.memory_analysis()
    results = analysis.output_size_in_bytes - analysis.alias_size_in_bytes
    return int(analysis.temp_size_in_bytes + max(results, 0))


def _paragraph(plan: Plan, flags: Flags) -> list[str]:
    sent = ", ".join(f"{kind.replace('_', '-')} {_megabytes(size)}" for kind, size in sorted(plan.sent.items()))
    share = plan.sent.get("all_reduce", 0) / max(plan.parameter_bytes, 1)
    fewer = f", of {flags.devices}, by which it does not divide" if plan.devices < flags.devices else ""
    how = "as compiled for this device" if plan.compiled else "as traced, nothing compiled"
    fits = plan.total <= FULL * flags.memory * GB
    return [
        "",
        f"stage {plan.stage}: a batch of {plan.rows} on {plan.devices} devices{fewer}",
        f"  parameters   {plan.parameters / 1e6:.1f} million, {_gigabytes(plan.parameter_bytes)}",
        f"  state        {_gigabytes(plan.state)} with optimizer and statistics, on every device",
        f"  batch        {_gigabytes(plan.batch)} a device",
        f"  values       {_gigabytes(plan.values)} a device: activations and gradients, {how}",
        f"  a step sends {sent or 'nothing'}" + (f" ({share:.2f} × parameters)" if share else ""),
        f"  together     {_gigabytes(plan.total)} of {flags.memory:g} GB: {'fits' if fits else 'does not fit'}",
        *([] if fits else [f"  to make it fit: {_remedies(flags)}"]),
    ]


def _remedies(flags: Flags) -> str:
    half = "" if flags.precision == "bfloat16" else "--precision=bfloat16; "
    return (
        f"{half}remat, where the network has that flag (--help); a smaller --batch_size with as many times "
        "--optimizer.accumulate; more --devices"
    )


def _sizes(full: Plan, half: Plan, memory: float) -> tuple[str, ...]:
    fits = [name for name, plan in (("float32", full), ("bfloat16", half)) if plan.total <= FULL * memory * GB]
    return (
        f"{full.parameters / 1e6:.1f} M",
        _gigabytes(full.state),
        _gigabytes(full.values),
        _gigabytes(half.values),
        _megabytes(sum(full.sent.values())),
        "both" if len(fits) == 2 else " ".join(fits) or "no",
    )


def _gigabytes(size: int) -> str:
    return f"{size / GB:.2f} GB" if size < 10 * GB else f"{size / GB:.0f} GB"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size else "nothing"
