"""Tables as text."""

import pytest

from jaxvision.viz.table import table


def test_columns_are_aligned():
    text = table(("method", "AP", "note"), {"a": (0.5, "x"), "longer": (12.3456789, "")})
    assert text.splitlines() == [
        "| method |    AP | note |",
        "| ---    |  ---: | ---: |",
        "| a      |   0.5 |    x |",
        "| longer | 12.35 |      |",
    ]


def test_a_row_of_another_length_is_named():
    with pytest.raises(ValueError, match="row 'a' has 2 values for 1 columns"):
        table(("method", "AP"), {"a": (1.0, 2.0)})
