"""The part of a page that shows a run's training data, made of an overview's document and pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxvision.viz import page

_CLASSES = 40  # classes that a table shows without being opened
_SIZE_NAMES = ("small (below 32² pixels)", "medium", "large (from 96² pixels)")


def section(title: str, document: Mapping[str, Any], folder: Path) -> str:
    """Return the section as HTML; "" where nothing is known of the data.

    Args:
        title: the heading.
        document: the `document` of `overview.collect`.
        folder: where the pictures lie.
    """
    shown = [
        page.figure(page.picture(folder / picture["file"], _described(picture, document)), picture["caption"])
        for picture in document.get("pictures", ())
        if (folder / picture["file"]).exists()
    ]
    pictures = f'<div class="pictures">{"".join(shown)}</div>' if shown else ""
    remark = f"<p>{page.text(document['remark'])}</p>" if document.get("remark") else ""
    findings = [f"{name}: {reason}" for name, reason in document.get("findings", {}).items()]
    return page.section(
        title,
        *map(_source, document.get("sources", ())),
        _lines("Records of these batches that were skipped, or read in part", findings, len(findings)),
        remark,
        pictures,
    )


def _described(picture: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    names = [name for source in document["sources"] for name in source["class_names"]]
    return f"Training images of {picture['caption']}, with labels; classes: {', '.join(names[:_CLASSES])}"


def _source(source: Mapping[str, Any]) -> str:
    """Return everything about one source: its splits, sizes and classes, and what was left out."""
    splits = source["splits"]
    read_from = {f"{split['name']} is read from": split["origin"] for split in splits if split["origin"]}
    return "".join(
        (
            f"<h3>{page.text(source['data'])}</h3>",
            _images(source),
            page.fields(read_from),
            _objects(splits) if source["unit"] == "objects" else "",
            _classes(source),
            _lines("Left out", source["left_out"], source["left_out_count"]),
            _lines(
                "Cannot be read",
                [line for s in splits for line in s["unreadable"]],
                sum(len(s["unreadable"]) for s in splits),
            ),
        )
    )


def _images(source: Mapping[str, Any]) -> str:
    objects = source["unit"] == "objects"
    columns = ["split", "images", "smallest", "median", "largest"] + (["without objects"] if objects else [])
    rows = []
    for split in source["splits"]:
        sizes = [f"{width}×{height}" for width, height in split["sizes"]] or ["", "", ""]
        rows.append((split["name"], split["images"], *sizes, *([split["empty"]] if objects else [])))
    parts = [
        f"sizes of {split['name']}: of {split['sizes_of']} images"
        for split in source["splits"]
        if 0 < split["sizes_of"] < split["images"]
    ]
    remark = f'<p class="quiet">{page.text("; ".join(parts))}</p>' if parts else ""
    return page.table(columns, rows) + remark


def _objects(splits: Sequence[Mapping[str, Any]]) -> str:
    rows = [(split["name"], sum(split["areas"]), *split["areas"]) for split in splits]
    return page.table(("split", "objects", *_SIZE_NAMES), rows)


def _classes(source: Mapping[str, Any]) -> str:
    """Return a table of the classes in each split, closed where it is long."""
    splits, unit = source["splits"], source["unit"]
    if not any(sum(split["classes"]) for split in splits):
        return ""
    names = list(enumerate(source["class_names"]))[1 if unit == "objects" else 0 :]  # 0 is background
    rows = [(name, *(_amount(split, label, unit) for split in splits)) for label, name in names]
    columns = ["class"]
    for split in splits:
        partly = f" of {split['read']} images" if split["read"] < split["images"] and unit != "images" else ""
        partly = f" of {split['read']} read" if split["read"] < split["images"] and unit == "images" else partly
        columns.append(f"{unit}, {split['name']}{partly}")
    table = page.table(columns, rows)
    if len(rows) <= _CLASSES:
        return table
    return f"<details><summary>{len(rows)} classes</summary>{table}</details>"


def _amount(split: Mapping[str, Any], label: int, unit: str) -> str:
    amount = split["classes"][label]
    return f"{amount / max(sum(split['classes']), 1):.2%}" if unit == "pixels" else str(amount)


def _lines(title: str, lines: Sequence[str], count: int) -> str:
    """Return a list of lines that can be opened, under their number; "" where there are none."""
    if not count:
        return ""
    items = "".join(f"<li>{page.text(line)}</li>" for line in lines)
    more = f"<li>and {count - len(lines)} more, in left_out.txt</li>" if count > len(lines) else ""
    return f"<details open><summary>{page.text(title)}: {count}</summary><ul>{items}{more}</ul></details>"
