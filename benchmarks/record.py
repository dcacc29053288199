"""The rounds of a comparison, as a benchmark leaves them for `page.py`: a line of JSON each in a file."""

import json
import os
import pathlib
from collections.abc import Mapping, Sequence

FILE = "JAXVISION_BENCH_ROUNDS"
"""The environment variable that names the file; without it nothing is left."""

OURS = "jaxvision"


def leave(
    row: str, what: str, seconds: Mapping[str, Sequence[float]], peaks: Mapping[str, float] | None = None
) -> None:
    """Add one comparison to the file, if there is to be one.

    Args:
        row: what is compared, such as the network's name.
        what: "training", "inference" or another kind of call.
        seconds: of every round, by side; ours is `OURS`.
        peaks: the most memory that each side's process held, in MiB, where that is known.
    """
    if file := os.environ.get(FILE):
        line = {"row": row, "what": what, "seconds": {k: list(v) for k, v in seconds.items()}, "peaks": peaks or {}}
        with pathlib.Path(file).open("a") as opened:
            opened.write(json.dumps(line) + "\n")
