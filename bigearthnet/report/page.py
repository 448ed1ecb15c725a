"""Self-contained HTML pages: no script, no link, no font or picture from elsewhere.

A page is a title and blocks, one under the other; reports say what they say once, as
blocks, and have it rendered here or elsewhere (as Markdown, say).
"""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass

# Browsers load nothing at all on behalf of such a page.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

# Wide tables scroll on their own, so that a phone shows the rest of the page whole;
# on paper nothing scrolls.
_STYLE = """
:root { color-scheme: light; }
body { font: 1rem/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff;
  max-width: 66rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; line-height: 1.2; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 0.5rem; border-top: 1px solid #bbb;
  padding-top: 1rem; }
h3 { font-size: 1.05rem; margin: 1.5rem 0 0.5rem; }
p { max-width: 44rem; margin: 0.5rem 0; }
.warning { border-left: 0.3rem solid #b54708; background: #fff4e5;
  padding: 0.5rem 0.75rem; font-weight: 600; }
.scroll { overflow-x: auto; margin: 1rem 0 0.25rem; }
table { border-collapse: collapse; font-size: 0.9rem; }
caption { text-align: left; font-weight: 600; padding-bottom: 0.4rem; }
th, td { padding: 0.25rem 0.6rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid #ddd; }
thead th { border-bottom: 2px solid #555; vertical-align: bottom; }
tbody th { font-weight: 600; min-width: 6.5rem; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
td.number { white-space: nowrap; }
.note { font-size: 0.85rem; color: #444; }
figure { margin: 1rem 0; }
figcaption { font-weight: 600; padding-bottom: 0.4rem; }
svg { display: block; width: 100%; height: auto; }
.cards { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); }
.card { border: 1px solid #ccc; padding: 0.75rem; overflow-wrap: anywhere; }
.card img { width: 100%; image-rendering: pixelated; display: block; }
.card h4 { font-size: 0.85rem; margin: 0 0 0.5rem; }
.card dl { font-size: 0.85rem; margin: 0.5rem 0 0; }
.card dt { font-weight: 600; margin-top: 0.35rem; }
.card dd { margin: 0; }
@media print {
  html { font-size: 9pt; }
  body { max-width: none; padding: 0; }
  .scroll { overflow: visible; }
  table { font-size: 7pt; }
  th, td { padding: 1pt 3pt; }
  td.number { white-space: normal; }
  tbody th { min-width: 0; }
  tr, svg, .card, figcaption { break-inside: avoid; }
  h2, h3, caption { break-after: avoid; }
}
"""


@dataclass(frozen=True)
class Heading:
    """A heading within a page.

    Attributes:
        text: The heading.
        level: 2 or 3; the title of the page is 1.
    """

    text: str
    level: int = 2


@dataclass(frozen=True)
class Text:
    """A paragraph.

    Attributes:
        text: The text.
        is_warning: Whether it must not be overlooked.
    """

    text: str
    is_warning: bool = False


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        caption: What it shows.
        header: Title of each column.
        rows: The cells; the first of a row says what the row is about.
        numbers: Which columns hold numbers, which are set to the right.
        notes: Remarks below.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Drawing:
    """A drawing.

    Attributes:
        name: How names of its files begin, where it is written to files.
        caption: What it shows.
        pieces: Its parts, from first to last, each no longer than a sheet of paper:
            `<svg>` elements of our own making, which are not escaped.
    """

    name: str
    caption: str
    pieces: tuple[str, ...]


@dataclass(frozen=True)
class Card:
    """A picture with what there is to say about it.

    Attributes:
        title: What it shows.
        png: The picture, encoded as PNG; None for a card without one.
        lines: Pairs of a term and what belongs to it.
    """

    title: str
    png: bytes | None
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Cards:
    """Cards side by side.

    Attributes:
        caption: What they show.
        cards: The cards.
    """

    caption: str
    cards: tuple[Card, ...]


Block = Heading | Text | Table | Drawing | Cards


def render_page(title: str, blocks: Sequence[Block], language: str = "en") -> str:
    """Renders a page as one HTML document, readable on a phone and on paper.

    Args:
        title: Title of the page.
        blocks: What it shows, from top to bottom.
        language: Language of the texts, as in the attribute `lang`.
    """
    body = "\n".join(_render(block) for block in blocks)
    return (
        f'<!DOCTYPE html>\n<html lang="{_escape(language)}">\n<head>\n'
        '<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<h1>{_escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def _render(block: Block) -> str:
    match block:
        case Heading():
            return f"<h{block.level}>{_escape(block.text)}</h{block.level}>"
        case Text():
            kind = ' class="warning"' if block.is_warning else ""
            return f"<p{kind}>{_escape(block.text)}</p>"
        case Table():
            return _render_table(block)
        case Drawing():
            caption = f"<figcaption>{_escape(block.caption)}</figcaption>"
            pieces = "\n".join(block.pieces)
            return (
                f'<figure>\n{caption}\n<div class="cards">\n{pieces}\n</div></figure>'
            )
        case Cards():
            cards = "\n".join(map(_render_card, block.cards))
            caption = f"<figcaption>{_escape(block.caption)}</figcaption>"
            return f'<figure>\n{caption}\n<div class="cards">\n{cards}\n</div></figure>'


def _render_table(table: Table) -> str:
    kinds = [
        ' class="number"' if number in table.numbers else ""
        for number in range(len(table.header))
    ]
    header = "".join(
        f'<th scope="col"{kind}>{_escape(cell)}</th>'
        for cell, kind in zip(table.header, kinds, strict=True)
    )
    rows = "\n".join(_render_row(row, kinds) for row in table.rows)
    notes = "".join(f'\n<p class="note">{_escape(note)}</p>' for note in table.notes)
    return (
        f'<div class="scroll" tabindex="0"><table>\n'
        f"<caption>{_escape(table.caption)}</caption>\n"
        f"<thead><tr>{header}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table></div>"
        f"{notes}"
    )


def _render_row(row: Sequence[str], kinds: Sequence[str]) -> str:
    cells = [
        f"<td{kind}>{_escape(cell)}</td>" if number else _render_row_title(cell)
        for number, (cell, kind) in enumerate(zip(row, kinds, strict=True))
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _render_row_title(cell: str) -> str:
    return f'<th scope="row">{_escape(cell)}</th>'


def _render_card(card: Card) -> str:
    picture = ""
    if card.png is not None:
        content = base64.b64encode(card.png).decode("ascii")
        picture = (
            f'<img alt="{_escape(card.title)}" src="data:image/png;base64,{content}">\n'
        )
    lines = "".join(
        f"<dt>{_escape(term)}</dt><dd>{_escape(text)}</dd>" for term, text in card.lines
    )
    return (
        f'<section class="card">\n<h4>{_escape(card.title)}</h4>\n{picture}'
        f"<dl>{lines}</dl>\n</section>"
    )


def _escape(text: str) -> str:
    return html.escape(text, quote=True)
