"""The fuzzer: damages files by fixed seeds and asserts "one line that names the culprit, or the right answer".

python -m tests.steadfast.fuzz 2000        # cases, over all formats; prints what failed, and how many did what
"""

import json
import logging
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from jaxvision.foreign import shortened
from tests.steadfast.alarm import SECONDS, TooLong, alarm
from tests.steadfast.damage import damaged
from tests.steadfast.own_files import ALL
from tests.steadfast.specimens import Specimen

MEGABYTES = 1000


def case(name: str, specimen: Specimen, folder: Path, number: int) -> tuple[str, str]:
    """Run one case in a folder with a whole set; return "read" or "line", or "failed" with the reason."""
    files = specimen.write(folder)
    file = files[number % len(files)]
    whole = file.read_bytes()
    content, ways = damaged(whole, f"{name} {number}")
    file.write_bytes(content)
    began = time.process_time()  # the processor's, as others may use it, too
    try:
        with alarm():
            lines = _read(specimen, folder, file)
        outcome = ("line" if lines else "read"), ""
    except Exception as error:
        outcome = "failed", f"{type(error).__name__}: {str(error)[:200]} {_place(error)}"
    except TooLong:
        outcome = "failed", f"took over {SECONDS} s"
    if time.process_time() - began > SECONDS:
        outcome = "failed", f"took {time.process_time() - began:.1f} s"
    file.write_bytes(whole)
    return outcome[0], f"{name} {number}, {file.name}, {ways}: {outcome[1]}" if outcome[1] else ""


def _read(specimen: Specimen, folder: Path, file: Path) -> int:
    """Read a set with a damaged file; return the number of lines that name it. AssertionError: a wrong answer."""
    lines = 0
    try:
        for found in specimen.read(folder):
            if isinstance(found, ValueError):
                lines += _names(found, folder)
            elif isinstance(found, dict) and "image" in found:
                _check_record(found)
    except (ValueError, OSError) as error:
        lines += _names(error, folder)
    return lines


def _names(error: Exception, folder: Path) -> int:
    line = shortened(str(error), 2000)
    named = str(folder) in line or (folder / line.partition(":")[0]).exists() or line.startswith(folder.name)
    assert named, f"does not name the file: {line}"
    if isinstance(error, ValueError):  # the launcher shows a ValueError of our own code only
        frames = traceback.extract_tb(error.__traceback__)
        assert not frames or "/jaxvision/" in frames[-1].filename, f"not raised here: {frames[-1].filename}"
    return 1


def _check_record(record: dict[str, Any]) -> None:
    """Check that a record is one that can be learned from, whatever was done to its files."""
    image, classes = record["image"], record["num_classes"]
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3, image.shape
    height, width = image.shape[:2]
    if "boxes" in record:
        boxes, labels = record["boxes"], record["labels"]
        assert boxes.dtype == np.float32 and boxes.shape == (len(labels), 4) and np.isfinite(boxes).all(), boxes
        assert (boxes[:, :2] < boxes[:, 2:]).all() and (boxes >= 0).all(), boxes
        assert (boxes <= [[width, height, width, height]]).all(), boxes
        assert ((labels > 0) & (labels < classes)).all(), labels
    if "masks" in record:
        assert record["masks"].shape == (len(record["labels"]), height, width)
    if "label" in record:
        assert 0 <= record["label"] < classes
    if "label_map" in record:
        values = record["label_map"]
        assert values.shape == (height, width) and ((values < classes) | (values == 255)).all()


def _place(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"({Path(frame.filename).name}:{frame.lineno})"


def main(cases: int, names: list[str]) -> dict[str, Any]:
    """Run so many cases, shared out over the formats; return the counts, the failures and the largest memory."""
    logging.disable(logging.ERROR)
    counts, failures = Counter[str](), list[str]()
    resource.setrlimit(resource.RLIMIT_AS, (2**34, 2**34))
    before, largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            specimen = ALL[name]
            specimen.write(Path(folder))
            assert not _read(specimen, Path(folder), Path(folder)) or name == "darknet", name
            for number in range(-(-cases // len(names))):
                outcome, failure = case(name, specimen, Path(folder), number)
                counts[outcome] += 1
                failures += [failure] if failure else []
                if (grown := (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024) > largest:
                    largest = grown
                    if grown > MEGABYTES:
                        failures.append(f"{name} {number}: took {grown} MB")
    return {"counts": dict(counts), "failures": failures, "megabytes": largest}


if __name__ == "__main__":
    chosen = sys.argv[2:] or list(ALL)
    print(json.dumps(main(int(sys.argv[1]), chosen), indent=1))
