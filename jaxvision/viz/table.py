"""Tables of values as text."""

from collections.abc import Mapping, Sequence


def table(columns: Sequence[str], rows: Mapping[str, Sequence[float | str]], *, digits: int = 4) -> str:
    """Return a Markdown table with aligned columns.

    Args:
        columns: the heading of the names, then one heading for each value.
        rows: the values of each row, by the row's name.
        digits: decimals of a number.

    Raises:
        ValueError: a row has another number of values than there are columns.
    """
    lines = [list(columns), ["---"] + ["---:"] * (len(columns) - 1)]
    for name, values in rows.items():
        if len(values) != len(columns) - 1:
            raise ValueError(f"table: row {name!r} has {len(values)} values for {len(columns) - 1} columns")
        lines.append([name, *(value if isinstance(value, str) else f"{value:.{digits}g}" for value in values)])
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    return "\n".join(
        "| "
        + " | ".join(
            text.ljust(w) if i == 0 else text.rjust(w) for i, (text, w) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in lines
    )
