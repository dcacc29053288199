"""What a step does that a GPU is slow at, of every experiment's quick preset: counted, written down, and not to grow.

python -m tests.programs.counts detection/mask_rcnn  # prints it
python -m tests.programs.counts --write detection/mask_rcnn ssl/moco  # writes it into tests/programs/counts.txt
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import jax

from jaxvision.run.program import operations
from tests.programs.traced import Traced, steps

TABLE = Path(__file__).with_name("counts.txt")
PRESET = "quick"
KINDS = ("sorted", "gathered", "scattered", "loops", "waits")  # see `jaxvision.run.program.operations`
SLACK = 1.02  # versions of jax differ by a few small gathers
FEW = 4096  # bytes or elements that nobody minds

Counts = dict[str, int]


def counted(traced: Traced) -> Counts:
    """Return the counts of a stage's step."""
    found = operations(traced.program.jaxpr)
    return {kind: found[kind] for kind in KINDS}


def written() -> dict[str, Counts]:
    """Return the table: the counts of each "experiment stage"."""
    lines = TABLE.read_text().splitlines() if TABLE.exists() else []
    rows = (line.split(": ") for line in lines)
    return {name: {k: int(v) for k, v in (pair.split("=") for pair in counts.split())} for name, counts in rows}


def grown(name: str, traced: Traced) -> list[str]:
    """Return what a step does more of than the table says, and what to do about it."""
    key = f"{name} {traced.stage.name}"
    if key not in (table := written()):
        return [f"{key}: not in {TABLE.name}; python -m tests.programs.counts --write {name}"]
    found, most = counted(traced), table[key]
    more = [k for k in KINDS if found[k] > most[k] * SLACK + (0 if k in ("loops", "waits") else FEW)]
    return [
        f"{key}: {kind} {found[kind]:,}, was {most[kind]:,}; if that is meant: python -m tests.programs.counts "
        f"--write {name}"
        for kind in more
    ]


def of(name: str) -> Iterator[tuple[str, Counts]]:
    """Yield the counts of each stage of an experiment."""
    for traced in steps(name, PRESET):
        yield f"{name} {traced.stage.name}", counted(traced)
    jax.clear_caches()


def main(arguments: list[str]) -> None:
    write = "--write" in arguments
    for name in (a for a in arguments if a != "--write"):
        rows = dict(of(name))
        lines = {key: " ".join(f"{k}={v}" for k, v in counts.items()) for key, counts in rows.items()}
        print("\n".join(f"{key}: {line}" for key, line in lines.items()), flush=True)
        if write:
            old = {key: " ".join(f"{k}={v}" for k, v in counts.items()) for key, counts in written().items()}
            kept = {key: line for key, line in old.items() if key.split()[0] != name}
            TABLE.write_text("".join(f"{key}: {line}\n" for key, line in sorted({**kept, **lines}.items())))


if __name__ == "__main__":
    main(sys.argv[1:])
