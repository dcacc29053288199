"""Predictions as files of figures: predictions.json, predictions.csv and, of detectors, coco_results.json."""

import csv
import io
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxvision.files import atomic_write

Said = Mapping[str, Any]
"""A prediction of an image, as `Presentation.describe` returns it, with the "file" that was read."""


def write(workdir: Path, said: Sequence[Said], document: Any) -> list[str]:
    """Write the files.

    Args:
        workdir: the folder that they go into.
        said: what the network says of each image.
        document: the content of predictions.json.

    Returns:
        The names of the files.
    """
    atomic_write(workdir / "predictions.json", json.dumps(document, indent=2))
    atomic_write(workdir / "predictions.csv", as_csv(said))
    names = ["predictions.json", "predictions.csv"]
    if isinstance(document, dict) and "annotations" in document:
        kept = ("image_id", "category_id", "bbox", "score", "segmentation")
        results = [{k: one[k] for k in kept if k in one} for one in document["annotations"]]
        atomic_write(workdir / "coco_results.json", json.dumps(results))
        names.append("coco_results.json")
    return names


def as_csv(said: Sequence[Said]) -> str:
    """Return a table with the names of its columns first: a row for each detection, class or image."""
    rows = [{"file": one["file"], **row} for one in said for row in table_rows(one)]
    columns = list(dict.fromkeys(name for row in rows for name in row)) or ["file"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def table_rows(one: Said) -> Iterator[dict[str, Any]]:
    """Yield the rows about one image: its detections, or the values of its classes, or its own values."""
    if "annotations" in one:
        for found in one["annotations"]:
            place = dict(zip(("x", "y", "width", "height"), found["bbox"], strict=True))
            yield {"class": found.get("category_name", found["category_id"]), "score": found["score"], **place}
        return
    tables = {name: value for name, value in one.items() if isinstance(value, Mapping)}
    for name, values in tables.items():
        for label, value in values.items():
            yield {"class": label, name.removesuffix("ies") + "y" if name.endswith("ies") else name.rstrip("s"): value}
    plain = {k: v for k, v in one.items() if k != "file" and isinstance(v, int | float | str)}
    if not tables and plain:
        yield plain


def classes(one: Said) -> list[tuple[str, float]]:
    """Return the classes that were found in an image, each with its score, the best first."""
    rows = [row for row in table_rows(one) if "class" in row]
    scored = [(str(row["class"]), float(next(v for k, v in row.items() if k != "class"))) for row in rows]
    return sorted(scored, key=lambda pair: -pair[1])


def unique_stems(files: Sequence[str]) -> list[str]:
    """Return a unique stem for each file: "cat", or "cat-0", "cat-3" where several files are called cat."""
    stems = [Path(file).stem for file in files]
    counts = Counter(stem.lower() for stem in stems)  # some file systems do not tell upper case from lower
    taken = {stem.lower() for stem in stems if counts[stem.lower()] == 1}
    unique = []
    for number, stem in enumerate(stems):
        if counts[stem.lower()] > 1:  # a file of another folder may be called cat-0 itself
            names = (f"{stem}-{n}" for n in itertools.count(number))
            stem = next(name for name in names if name.lower() not in taken)
            taken.add(stem.lower())
        unique.append(stem)
    return unique
