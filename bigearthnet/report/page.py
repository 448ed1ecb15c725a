"""Self-contained HTML pages: no link, no font, script or picture from elsewhere.

A page has no script, unless it has a gallery, which is filtered by ours.

A page is a title and blocks, one under the other; reports say what they say once, as
blocks, and have it rendered here or elsewhere (as Markdown, say).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bigearthnet.report.template import render_template


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
            files of SVG.
        is_wide: Whether a piece takes all the width of a page.
    """

    name: str
    caption: str
    pieces: tuple[bytes, ...]
    is_wide: bool = False


@dataclass(frozen=True)
class Answer:
    """What a model says of some labels, shown with a mark of its own form and colour.

    Attributes:
        kind: Whether it found them rightly or wrongly, or missed them.
        text: The labels.
    """

    kind: Literal["right", "wrong", "missed"]
    text: str

    @property
    def mark(self) -> str:
        """The mark, a single character."""
        return {"right": "✓", "wrong": "✗", "missed": "○"}[self.kind]


@dataclass(frozen=True)
class Card:
    """A picture with what there is to say about it.

    Attributes:
        title: What it shows.
        png: The picture, encoded as PNG; None for a card without one.
        lines: Pairs of a term and what belongs to it: a text, or answers.
    """

    title: str
    png: bytes | None
    lines: tuple[tuple[str, str | tuple[Answer, ...]], ...]


@dataclass(frozen=True)
class Cards:
    """Cards side by side.

    Attributes:
        caption: What they show.
        cards: The cards.
    """

    caption: str
    cards: tuple[Card, ...]


@dataclass(frozen=True)
class Exhibit:
    """A patch of a gallery.

    Attributes:
        title: What it is.
        pictures: Name of each picture → its file, JPEG or PNG; the first is shown.
        lines: Pairs of a term and a text.
        values: Name of each filter → what the patch has of it.
        legend: Name of a picture → what its colours mean: colour (CSS) and meaning.
    """

    title: str
    pictures: Mapping[str, bytes]
    lines: tuple[tuple[str, str], ...]
    values: Mapping[str, tuple[str, ...]]
    legend: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Gallery:
    """Patches side by side, which a reader chooses from.

    Attributes:
        caption: What they are.
        exhibits: The patches.
        filters: Name of each filter → the values that it offers.
        pictures: Name of each picture → how people are told what it shows.
    """

    caption: str
    exhibits: tuple[Exhibit, ...]
    filters: Mapping[str, tuple[str, ...]]
    pictures: Mapping[str, str]


Block = Heading | Text | Table | Drawing | Cards


# What filters a gallery.
_GALLERY = Path(__file__).with_name("gallery.js")


def _find_type(picture: bytes) -> str:
    return "png" if picture.startswith(b"\x89PNG") else "jpeg"


def render_page(
    title: str, blocks: Sequence[Block | Gallery], language: str = "en"
) -> str:
    """Renders a page as one HTML document, readable on a phone, at night, on paper.

    Args:
        title: Title of the page.
        blocks: What it shows, from top to bottom.
        language: Language of the texts, as in the attribute `lang`.
    """
    script = _GALLERY.read_text(encoding="utf-8")
    if not any(isinstance(block, Gallery) for block in blocks):
        script = ""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = render_template(
        Path(__file__).with_suffix(".html"),
        title=title,
        script=script,
        script_digest=digest,
        blocks=[(type(block).__name__, block) for block in blocks],
        chapters=[b.text for b in blocks if isinstance(b, Heading) and b.level == 2],
        language=language,
        b64encode=base64.b64encode,
        find_type=_find_type,
        dumps=json.dumps,
        zip=zip,
    )
    return f"{page}\n"
