from __future__ import annotations

from baselines.comparison.markdown import list_pictures, render_markdown
from bigearthnet.report.page import Card, Cards, Drawing, Heading, Table, Text


def test_blocks_become_markdown() -> None:
    """Headings, texts and warnings stand in their order."""
    text = render_markdown(
        "Title", [Heading("Two"), Text("said"), Heading("3", 3), Text("loud", True)]
    )

    assert "# Title\n\n## Two\n\nsaid\n\n### 3\n\n**loud**\n" == text


def test_a_table_has_its_caption_and_notes() -> None:
    """Columns of numbers are set to the right; what would break a cell is escaped."""
    table = Table("C", ("a", "n"), (("x|y", "< 1"),), frozenset({1}), ("note",))

    assert (
        "**C**\n\n| a | n |\n| --- | ---: |\n| x\\|y | \\< 1 |\n\nnote\n"
    ) in render_markdown("T", [table])


def test_pictures_are_files_beside_it() -> None:
    """Drawings and pictures are linked by the names that they are written under."""
    blocks = [
        Drawing("bars", "Bars", (b"<svg a/>", b"<svg b/>")),
        Cards(
            "C", (Card("S2A_1", b"png", (("Labels", "x"),)), Card("S2A_2", None, ()))
        ),
    ]
    pictures = dict(list_pictures(blocks))
    text = render_markdown("T", blocks)

    assert ["bars-0.svg", "bars-1.svg", "S2A_1.png"] == list(pictures)
    assert b"<svg b/>" == pictures["bars-1.svg"]
    assert all(f"(pictures/{name})" in text for name in pictures)
    assert 3 == text.count("](pictures/")
