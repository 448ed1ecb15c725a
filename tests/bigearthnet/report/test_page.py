from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from bigearthnet.report.page import (
    Answer,
    Block,
    Card,
    Cards,
    Drawing,
    Exhibit,
    Gallery,
    Heading,
    Table,
    Text,
    render_page,
)

VOID = {"meta", "img", "rect", "br", "wbr"}


class Page(HTMLParser):
    """Reads a page strictly: every element is closed in its order.

    Attributes:
        elements: Names and attributes of all elements.
        texts: All texts outside of the style sheet.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert [] == self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Opens an element."""
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Closes the element that was opened last."""
        if tag not in VOID:
            assert tag == self._open.pop()

    def handle_data(self, data: str) -> None:
        """Keeps a text."""
        if data.strip() and {"style", "script"}.isdisjoint(self._open):
            self.texts.append(data.strip())

    def find(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of all elements of a name."""
        return [attributes for name, attributes in self.elements if name == tag]


HOSTILE = '<script src="http://x/y.js">&"</script>'
BLOCKS: list[Block] = [
    Heading(HOSTILE),
    Text(HOSTILE, is_warning=True),
    Table(HOSTILE, (HOSTILE, "n"), ((HOSTILE, "1"),), frozenset({1}), (HOSTILE,)),
    Drawing("d", HOSTILE, (b"<svg/>",)),
    Cards(HOSTILE, (Card(HOSTILE, b"png", ((HOSTILE, HOSTILE),)), Card("b", None, ()))),
]


def test_texts_stay_texts() -> None:
    """Whatever a text holds, it is shown and never becomes an element."""
    page = Page(render_page(HOSTILE, BLOCKS))

    assert [] == page.find("script")
    assert 13 == page.texts.count(HOSTILE)


def test_a_page_needs_nothing_else() -> None:
    """No element refers to another file; browsers are told to load none."""
    html = render_page("title", BLOCKS)
    page = Page(html)
    targets = [
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "data", "action", "poster")
    ]

    pictures = {"svg+xml": b"<svg/>", "png": b"png"}
    assert [
        f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
        for kind, content in pictures.items()
    ] == targets
    assert {"link", "script", "iframe", "object"}.isdisjoint(
        t for t, _ in page.elements
    )
    assert "url(" not in html
    assert "@import" not in html
    policy = {m.get("http-equiv"): m.get("content") for m in page.find("meta")}
    assert str(policy["Content-Security-Policy"]).startswith("default-src 'none'")


def test_a_page_is_readable_by_all() -> None:
    """It says its language, fits a phone, and tables and pictures have their names."""
    page = Page(render_page("title", BLOCKS))

    assert [{"lang": "en"}] == page.find("html")
    assert any(m.get("name") == "viewport" for m in page.find("meta"))
    assert ["col", "col", "row"] == [th["scope"] for th in page.find("th")]
    assert [HOSTILE] == [table["aria-label"] for table in page.find("table")]
    assert [HOSTILE, HOSTILE] == [img["alt"] for img in page.find("img")]


def test_numbers_are_set_to_the_right() -> None:
    """Cells and titles of number columns are marked, others are not."""
    page = Page(render_page("title", [BLOCKS[2]]))

    assert [None, "number", None] == [th.get("class") for th in page.find("th")]
    assert ["number"] == [td.get("class") for td in page.find("td")]


@pytest.mark.parametrize("row", [("a",), ("a", "b", "c")])
def test_a_row_must_fit_its_table(row: tuple[str, ...]) -> None:
    """A row with too few or too many cells is a mistake, not a crooked table."""
    with pytest.raises(ValueError, match="zip"):
        render_page("title", [Table("c", ("x", "y"), (row,))])


def test_answers_differ_in_form_and_colour() -> None:
    """Each kind of answer has a mark and a class of its own; a text has neither."""
    answers = tuple(Answer(kind, kind) for kind in ("right", "wrong", "missed"))
    html = render_page("t", [Cards("c", (Card("a", None, (("m", answers),)),))])
    page = Page(html)

    assert 3 == len({answer.mark for answer in answers})
    assert ["answer right", "answer wrong", "answer missed"] == [
        dd["class"] for dd in page.find("dd")
    ]
    marks = ["✓", "right", "✗", "wrong", "○", "missed"]
    assert marks == page.texts[-len(marks) :]


def test_a_page_is_dark_where_its_reader_is() -> None:
    """Colours come from variables, each of which the dark scheme sets again."""
    style = render_page("t", BLOCKS).partition("<style>")[2].partition("</style>")[0]
    light, dark = (
        set(re.findall(r"(--[\w-]+):", part))
        for part in style.split("@media screen and (prefers-color-scheme: dark)")
    )

    assert light == dark


EXHIBIT = Exhibit(
    HOSTILE,
    {"a": b"\x89PNG", "b": b"jpeg"},
    ((HOSTILE, HOSTILE),),
    {HOSTILE: ("x", HOSTILE)},
    {"b": (("rgb(1 2 3)", HOSTILE),)},
)
GALLERY = Gallery(
    HOSTILE, (EXHIBIT,), {HOSTILE: ("x", HOSTILE)}, dict(a="A", b=HOSTILE)
)


def test_a_gallery_is_filtered_by_a_known_script() -> None:
    """The only script is ours: its sha256 is the only one that browsers may run."""
    html = render_page("t", [GALLERY])
    page = Page(html)

    assert 1 == len(page.find("script"))
    script = html.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = {m.get("http-equiv"): m.get("content") for m in page.find("meta")}
    assert f"script-src 'sha256-{digest}'" in str(policy["Content-Security-Policy"])
    assert "unsafe-inline'; script" in str(policy["Content-Security-Policy"])


def test_a_gallery_is_whole_without_its_script() -> None:
    """The first picture of each is shown; controls that would do nothing are not."""
    page = Page(render_page("t", [GALLERY]))

    first, second = page.find("img")
    assert ("a", "b") == (first["data-picture"], second["data-picture"])
    assert "hidden" not in first
    assert "hidden" in second
    assert str(first["src"]).startswith("data:image/png")
    assert str(second["src"]).startswith("data:image/jpeg")
    assert "hidden" in page.find("form")[0]
    assert "hidden" in page.find("ul")[0]
    (card,) = page.find("section")
    assert {HOSTILE: ["x", HOSTILE]} == json.loads(str(card["data-values"]))
    assert HOSTILE in [option["value"] for option in page.find("option")]


def test_a_wide_drawing_scrolls_on_its_own() -> None:
    """It can be reached by the keyboard, and a line says that it goes on."""
    page = Page(render_page("t", [Drawing("d", "c", (b"<svg/>",), is_wide=True)]))

    box = {"class": "scroll wide", "role": "group", "aria-label": "c", "tabindex": "0"}
    assert box in page.find("div")
    assert "scroll sideways →" in page.texts
