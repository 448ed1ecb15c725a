"""The site of `make docs`, without running its notebooks, which other tests do."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

from tests.docs.test_docstrings import list_public
from tests.docs.test_recipes import ROOT

# Tags that make a browser fetch something.
FETCHED = {"script", "link", "img", "source", "iframe", "audio", "video", "object"}
# What a newcomer asks → what stands where the front page leads.
ANSWERS = {
    "which-patches-have-airports": "labels=Airports",
    "how-do-i-get-ndvi": "near_infrared - red",
    "how-do-i-train-on-ben19-with-pytorch": "torch_dataset(",
    "is-my-archive-complete": "--complete",
    "which-order-are-the-classes-in": "CLC codes",
}


class Page(HTMLParser):
    """What a page links to, and what it can be linked by."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes addresses and ids of a tag."""
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            elif name in ("href", "src", "data") and value:
                (self.fetched if tag in FETCHED else self.links).append(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site; a warning of Sphinx is an error."""
    for package in ("sphinx", "myst_nb", "furo"):
        pytest.importorskip(package)
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning"]
    command += ["--keep-going", "-c", "docs", "-D", "nb_execution_mode=off"]
    done = subprocess.run(
        [*command, "-d", str(folder / "doctrees"), ".", str(folder / "html")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return folder / "html"


@functools.cache
def read_page(path: Path) -> Page:
    """Reads a page, once."""
    return Page(path)


def walk_pages(site: Path) -> Iterator[tuple[Path, Page]]:
    """All pages of the site."""
    for path in sorted(site.rglob("*.html")):
        yield path, read_page(path)


def test_a_page_fetches_nothing_from_the_network(site: Path) -> None:
    """Scripts, styles, fonts and pictures are files of the site."""
    for path, page in walk_pages(site):
        remote = [url for url in page.fetched if re.match(r"\w+:|//", url)]
        assert [] == [url for url in remote if not url.startswith("data:")], path
    for path in site.rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"url\(['\"]?(https?:|//)|@import", text), path


def test_links_lead_to_pages_and_anchors(site: Path) -> None:
    """Every link within the site has a target."""
    broken = []
    for path, page in walk_pages(site):
        for link in [*page.links, *page.fetched]:
            address, anchor = urldefrag(link)
            if re.match(r"\w+:|//", link):
                continue
            address = unquote(address.partition("?")[0])
            target = (path.parent / address).resolve() if address else path
            is_there = target.is_file()
            if is_there and anchor and target.suffix == ".html":
                is_there = unquote(anchor) in read_page(target).ids
            if not is_there:
                broken.append(f"{path.relative_to(site)}: {link}")

    assert [] == broken


def test_every_public_name_has_an_entry(site: Path) -> None:
    """The reference describes what each public module exports."""
    from sphinx.util.inventory import InventoryFile

    with (site / "objects.inv").open("rb") as file:
        kinds = InventoryFile.load(file, "", lambda base, path: path)
    found = {name for kind in kinds if kind.startswith("py:") for name in kinds[kind]}

    assert [] == [names for names, _ in list_public() if not found & {*names}]


def test_the_front_page_answers_a_newcomer(site: Path) -> None:
    """Each question is a link of the front page, and the answer stands behind it."""
    front = site / "docs" / "index.html"
    text = (front.parent / "questions.html").read_text(encoding="utf-8")
    for question, answer in ANSWERS.items():
        assert f"questions.html#{question}" in read_page(front).links
        section = text[text.index(f'id="{question}"') :].partition("</section>")[0]
        assert answer in re.sub(r"<[^>]*>", "", section)
