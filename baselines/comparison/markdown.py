"""Blocks of a page → Markdown, with drawings and pictures as files beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bigearthnet.report.page import (
    Answer,
    Block,
    Card,
    Cards,
    Drawing,
    Heading,
    Table,
    Text,
)

# Folder of drawings and pictures, beside the Markdown file.
PICTURES = "pictures"


def render_markdown(title: str, blocks: Sequence[Block]) -> str:
    """Renders a page as Markdown with the tables of GitHub's flavour."""
    parts = [f"# {_escape(title)}", *(_render(block) for block in blocks)]
    return "\n\n".join(parts) + "\n"


def list_pictures(blocks: Sequence[Block]) -> Iterator[tuple[str, bytes]]:
    """Yields name and content of each file in PICTURES that the Markdown shows."""
    for block in blocks:
        if isinstance(block, Drawing):
            for number, piece in enumerate(block.pieces):
                yield f"{block.name}-{number}.svg", piece
        elif isinstance(block, Cards):
            for card in block.cards:
                if card.png is not None:
                    yield f"{card.title}.png", card.png


def render_table(table: Table) -> str:
    """Renders a table with its caption and notes."""
    lines = [
        "---:" if number in table.numbers else "---"
        for number in range(len(table.header))
    ]
    rows = [table.header, lines, *table.rows]
    text = "\n".join(
        f"| {' | '.join(cell if row is lines else _escape(cell) for cell in row)} |"
        for row in rows
    )
    notes = "".join(f"\n\n{_escape(note)}" for note in table.notes)
    return f"**{_escape(table.caption)}**\n\n{text}{notes}"


def _render(block: Block) -> str:
    match block:
        case Heading():
            return f"{'#' * block.level} {_escape(block.text)}"
        case Text():
            text = _escape(block.text)
            return f"**{text}**" if block.is_warning else text
        case Table():
            return render_table(block)
        case Drawing():
            pieces = [
                f"![{_escape(block.caption)}]({PICTURES}/{block.name}-{number}.svg)"
                for number in range(len(block.pieces))
            ]
            return "\n\n".join([f"**{_escape(block.caption)}**", *pieces])
        case Cards():
            cards = "\n\n".join(map(_render_card, block.cards))
            return f"**{_escape(block.caption)}**\n\n{cards}"


def _render_card(card: Card) -> str:
    lines = [
        f"- {_escape(term)}: {_escape(_join_answers(value))}"
        for term, value in card.lines
    ]
    picture = f"![{card.title}]({PICTURES}/{card.title}.png)\n\n" if card.png else ""
    return f"`{card.title}`\n\n{picture}" + "\n".join(lines)


def _join_answers(value: str | tuple[Answer, ...]) -> str:
    if isinstance(value, str):
        return value
    return " · ".join(f"{answer.mark} {answer.text}" for answer in value)


def _escape(text: str) -> str:
    for character in "\\|<*_":
        text = text.replace(character, f"\\{character}")
    return text
