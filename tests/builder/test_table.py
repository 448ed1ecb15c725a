from __future__ import annotations

import pytest

from builder.table import format_table


def test_columns_are_aligned() -> None:
    """Text stands to the left, numbers to the right with thousands separators."""
    table = format_table(["split", "patches"], [["train", 269_695], ["test", 7]])

    assert (
        "split  patches\n"  #
        "-----  -------\n"
        "train  269,695\n"
        "test         7"
    ) == table


def test_the_widest_cell_sets_the_width() -> None:
    """A column is as wide as its widest cell or title."""
    table = format_table(["a", "long title"], [["wider than a", "b"]])

    assert (
        "a             long title\n"  #
        "------------  ----------\n"
        "wider than a  b"
    ) == table


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        *[(0, "0"), (-1234567, "-1,234,567"), (1234.56, "1,234.6"), (0.04, "0.0")],
        *[(True, "yes"), (False, "no"), ("1234", "1234"), (None, "None")],
    ],
)
def test_cells_are_written_for_people(cell: object, text: str) -> None:
    """Integers get separators, floats one decimal, flags become words."""
    assert text == format_table(["x"], [[cell]]).splitlines()[-1].strip()


def test_a_mixed_column_stands_to_the_left() -> None:
    """A column with a single text is not a column of numbers."""
    lines = format_table(["number"], [[1], ["none"], [12]]).splitlines()

    assert ["number", "------", "1", "none", "12"] == lines


def test_no_line_ends_in_blanks() -> None:
    """Lines can be copied into documents as they are."""
    table = format_table(["a", "b"], [["x", ""], ["long text", "y"]])

    assert [line.rstrip() for line in table.splitlines()] == table.splitlines()
    assert "x" == table.splitlines()[2]


def test_a_table_without_rows_has_its_header() -> None:
    """Without rows, header and rule are left."""
    assert "a  bc\n-  --" == format_table(["a", "bc"], [])
