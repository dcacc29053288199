"""docs/recipes.md: its columns "here" are written from the tables of this folder, all else by hand.

python -m tests.wiring.recipe_page          # says what the page lacks
python -m tests.wiring.recipe_page --write  # writes "here" and the marks anew, with "?" where a fact is to be filled in

A paper's cell lists what it says, in the words of "here", with "; " between; "–": it does not say. Where that differs
from "here", the last cell begins with ≠ and explains. Under "length" the paper may say less than "here".
"""

import re
import sys
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tests.wiring.recipe import FOLDER, ROWS, recipes

PAGE = FOLDER.parents[1] / "docs" / "recipes.md"
HEAD = "| | here | paper or its code | said in | where they differ |\n|---|---|---|---|---|\n"
NO_PAPER = "## Presets of no single paper"
UNSAID = "–"
MARK = "≠"
Built = Mapping[str, Mapping[str, Mapping[str, str]]]
"""For each experiment and preset the text of each row."""


class Row(NamedTuple):
    """A row of a table."""

    here: str
    paper: str = "?"
    source: str = "?"
    why: str = ""  # without the mark

    @property
    def differs(self) -> bool:
        """True if the paper says something else."""
        return self.paper not in (UNSAID, "?") and not same(self.here, self.paper)


class Table(NamedTuple):
    """A preset's table on the page."""

    experiment: str
    preset: str
    base: str  # the preset whose rows it shares but for those that it has; "" for a whole table
    rows: Mapping[str, Row]


def same(here: str, paper: str) -> bool:
    """Return whether both list the same; what the paper says of length need not be all."""
    ours, theirs = ({item.strip() for item in text.split("; ")} for text in (here, paper))
    return ours == theirs or (theirs < ours and all(re.search(r"updates$|epochs$", item) for item in ours))


def built() -> dict[str, dict[str, dict[str, str]]]:
    """Return the recipes of all experiments that have a table in this folder."""
    names = sorted(str(path.relative_to(FOLDER).with_suffix("")) for path in FOLDER.glob("*/*.txt"))
    return {name: recipes(name) for name in names if name not in OF_OTHERS}


OF_OTHERS = (  # which train with the recipes of other experiments
    *("classification/compare", "detection/lineage", "detection/pooling"),
    *("gan/compare", "segmentation/compare", "ssl/compare"),
)


def tables(page: str) -> Iterator[Table]:
    """Read the tables of the page."""
    for experiment, section in re.findall(r"^## (\w+/\w+)\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE):
        parts = re.split(r"^### `(\w+)`(?:, otherwise as `(\w+)`)?\n", section, flags=re.MULTILINE)[1:]
        for preset, base, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
            yield Table(experiment, preset, base or "", dict(_rows(text)))


def _rows(text: str) -> Iterator[tuple[str, Row]]:
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and cells[0] in ROWS:
            name, here, paper, source, why = cells
            yield name, Row(here, paper, source, why.removeprefix(MARK).strip())


def expected(table: Table, recipe: Mapping[str, Mapping[str, str]]) -> dict[str, Row]:
    """Return the rows that a table is to have: "here" as built, the facts as they stand on the page."""
    own, base = recipe[table.preset], recipe.get(table.base, {})
    names = [name for name in ROWS if name in own and own[name] != base.get(name)]
    return {name: table.rows.get(name, Row(""))._replace(here=own[name]) for name in names}


def faults(page: str, made: Built) -> Iterator[str]:
    """Say what is missing or wrong on the page, a line each."""
    known = {(table.experiment, table.preset): table for table in tables(page)}
    excused = set(re.findall(r"`(\w+/\w+)`", page.partition(NO_PAPER)[2].partition("\n## ")[0]))
    for experiment, recipe in made.items():
        for preset in recipe:
            if (experiment, preset) not in known and experiment not in excused:
                yield f"{experiment}: no table of the preset {preset}"
    for (experiment, preset), table in known.items():
        if preset not in made.get(experiment, {}):
            yield f"{experiment}: there is no preset {preset}"
            continue
        rows = expected(table, made[experiment])
        for name in {**table.rows, **rows}:
            where = f"{experiment}, {preset}, {name}"
            if name not in rows or name not in table.rows or rows[name].here != table.rows[name].here:
                yield f"{where}: built is {rows[name].here if name in rows else f'the same as in {table.base}'}"
            elif "?" in (rows[name].paper, rows[name].source):
                yield f"{where}: say what the paper says and where, or {UNSAID}"
            elif rows[name].differs and not rows[name].why:
                yield f"{where}: explain the difference between {rows[name].here!r} and {rows[name].paper!r}"


def written(page: str, made: Built) -> str:
    """Return the page with "here" and the marks as built, and with tables at its end for presets that it lacks."""
    known = {(table.experiment, table.preset): table for table in tables(page)}
    lines: list[str] = []
    rows: list[str] = []  # of the preset at hand, until they have their place, which is behind its words
    experiment, table = "", None
    for line in page.splitlines():
        if line.startswith("#"):
            lines += rows
            experiment = line.removeprefix("## ") if line.startswith("## ") else experiment
            preset = re.match(r"### `(\w+)`", line)
            table = known.get((experiment, preset[1])) if preset else None
            table = table if table and table.preset in made.get(experiment, {}) else None
            lines.append(line)
            rows = ["", *_text(expected(table, made[experiment])).splitlines(), ""] if table else []
        elif table and line.startswith("|"):
            lines += rows
            rows = []
        else:
            lines.append(line)
    text = re.sub(r"\n{3,}", "\n\n", "\n".join([*lines, *rows])).rstrip("\n") + "\n"
    return text + "".join(_missing(page, made))


def _missing(page: str, made: Built) -> Iterator[str]:
    """Write tables without facts, to be moved to their places, for presets that the page has none of."""
    known = {(table.experiment, table.preset) for table in tables(page)}
    excused = set(re.findall(r"`(\w+/\w+)`", page.partition(NO_PAPER)[2].partition("\n## ")[0]))
    for experiment, recipe in made.items():
        for preset in recipe:
            if (experiment, preset) not in known and experiment not in excused:
                base = "" if preset == "paper" else "paper"
                table = Table(experiment, preset, base, {})
                yield f"\n## {experiment}\n\n{_heading(table)}\n{_text(expected(table, recipe))}"


def _heading(table: Table) -> str:
    return f"### `{table.preset}`" + (f", otherwise as `{table.base}`" if table.base else "") + "\n"


def _text(rows: Mapping[str, Row]) -> str:
    lines = []
    for name, row in rows.items():
        why = f"{MARK} {row.why}".strip() if row.differs else row.why
        lines.append(" ".join(["|", " | ".join([name, row.here, row.paper, row.source, why]).strip(), "|"]))
    return HEAD + "".join(f"{line}\n" for line in lines) if lines else ""


def main(arguments: list[str]) -> None:
    """Say what the page lacks, or write it anew."""
    made = built()
    if "--write" in arguments:
        PAGE.write_text(written(PAGE.read_text(), made))
    for fault in faults(PAGE.read_text(), made):
        print(fault)


if __name__ == "__main__":
    main(sys.argv[1:])
