from __future__ import annotations

import base64
import itertools
from pathlib import Path

import numpy as np
import pytest

from bigearthnet.report.composites import make_picture
from bigearthnet.report.page import Exhibit, Gallery, Text, render_page
from bigearthnet.schema.rgb import encode_png
from builder.report import write_report
from tests.browser.conftest import Browser

pytestmark = pytest.mark.browser

_KINDS = ("true_color", "false_color", "swir", "ndvi", "ndwi")
_SHOWN = "[...document.querySelectorAll('.card')].filter(c => !c.hidden)"
_WIDTH = "return document.documentElement.scrollWidth"
# Contrast of every text with what lies behind it: WCAG 2.2, section 1.4.3.
_CONTRAST = """
const parse = text => text.match(/[\\d.]+/g).map(Number);
const luminance = color => {
  const part = color.slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
};
const ground = element => {
  const color = parse(getComputedStyle(element).backgroundColor);
  return color.length === 3 ? color : ground(element.parentElement);
};
return Math.min(...[...document.querySelectorAll('body *')]
  .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
  .filter(e => e.checkVisibility({visibilityProperty: true}))
  .map(e => [parse(getComputedStyle(e).color), ground(e)].map(luminance)
    .sort((a, b) => a - b))
  .map(([one, other]) => (other + 0.05) / (one + 0.05)));
"""


@pytest.fixture(scope="session")
def report(all_stores: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the six real patches."""
    page = tmp_path_factory.mktemp("browser") / "report.html"
    write_report(all_stores, page, quiet=True)
    return page


@pytest.fixture
def opened(browser: Browser, report: Path) -> Browser:
    """A browser that has just opened the page."""
    browser.open(report)
    return browser


def choose(browser: Browser, control: str, value: str) -> str:
    """Chooses a value of a filter or a picture; returns what is then said."""
    from selenium.webdriver.support.ui import Select

    Select(browser.driver.find_element("css selector", control)).select_by_value(value)
    return str(browser.run("return document.querySelector('output').textContent"))


def test_a_page_asks_for_nothing_and_has_no_errors(opened: Browser) -> None:
    """Only the file itself is read, whatever is clicked; the console stays empty."""
    for kind in _KINDS:
        choose(opened, "select[data-picture]", kind)

    (page, *others) = opened.read_requests()
    assert page.startswith("file:")
    assert {"data"} == {url.partition(":")[0] for url in others}
    assert [] == opened.driver.get_log("browser")


def test_filters_leave_the_patches_that_have_all_values(opened: Browser) -> None:
    """What is left is counted; starting over brings all back."""
    assert "1 of 6 patches" == choose(opened, "[data-filter=split]", "excluded")
    shown = opened.run(f"return {_SHOWN}.map(c => c.dataset.values)")
    assert ["seasonal snow" in values for values in shown] == [True]
    assert "0 of 6 patches" == choose(opened, "[data-filter=season]", "summer")
    assert "0 of 6 patches" == choose(opened, "[data-filter=flag]", "seasonal snow")
    opened.driver.find_element("css selector", "button[type=reset]").click()
    count = "return document.querySelector('output').textContent"
    opened.driver.execute_async_script("setTimeout(arguments[0], 50)")
    assert "6 of 6 patches" == opened.run(count)
    assert 6 == len(opened.run(f"return {_SHOWN}.map(c => c.textContent)"))


def test_each_picture_is_drawn(opened: Browser) -> None:
    """The picture that is chosen is shown of all patches, and is not broken."""
    visible = "[...document.querySelectorAll('.card img')].filter(i => !i.hidden)"
    sources = []
    for kind in _KINDS:
        choose(opened, "select[data-picture]", kind)
        opened.driver.execute_async_script(
            f"Promise.all({visible}.map(i => i.decode())).then(arguments[0])"
        )
        found = opened.run(f"return {visible}.map(i => [i.naturalWidth, i.src])")
        assert {120, 60} >= {width for width, _ in found}
        sources += [source for _, source in found]

    assert 6 * len(_KINDS) == len(set(sources))


def test_all_can_be_reached_by_the_keyboard(opened: Browser) -> None:
    """Tab goes down the page, shows where it is, and keys choose a picture."""
    from selenium.webdriver.common.keys import Keys

    look = """const e = document.activeElement;
    return [e.tagName, e.getBoundingClientRect().top + scrollY, e.textContent,
      getComputedStyle(e).outlineStyle]"""
    visited = []
    while not visited or visited[-1][0] != "BUTTON":
        assert len(visited) < 60
        opened.driver.switch_to.active_element.send_keys(Keys.TAB)
        visited.append(opened.run(look))
        if visited[-1][2].startswith("\ntrue color"):
            opened.driver.switch_to.active_element.send_keys(Keys.ARROW_DOWN)

    tags, tops, _, outlines = zip(*visited, strict=True)
    assert "none" not in outlines
    assert ["A", "DIV", "SELECT", "BUTTON"] == [
        tag for tag, _ in itertools.groupby(tags)
    ]
    assert sorted(top // 100 for top in tops) == [top // 100 for top in tops]
    assert "false_color" == opened.run(
        "return document.querySelector('.card img:not([hidden])').dataset.picture"
    )


def test_a_link_leads_to_each_chapter(opened: Browser) -> None:
    """The contents at the top name the chapters in their order."""
    links = opened.run(
        """return [...document.querySelectorAll('nav a')].map(a => [a.textContent,
        document.getElementById(decodeURIComponent(a.hash.slice(1))).textContent])"""
    )

    assert [[name, name] for name, _ in links] == links
    assert ["What was built", "Gallery"] == [links[0][0], links[-1][0]]


def test_screen_readers_are_told_what_everything_is(opened: Browser) -> None:
    """Pictures, controls, tables and boxes that scroll have names of their own."""
    names = opened.list_names()
    controls = [name for role, name in names if role == "combobox"]

    assert ["picture", "class", "split", "country", "season", "flag"] == controls
    for role in ("image", "combobox", "button", "link", "table", "group", "form"):
        found = [name for found, name in names if found == role]
        assert found, role
        assert all(found), role
    assert "polite" == opened.run("return document.querySelector('output').ariaLive")
    levels = opened.run(
        "return [...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1])"
    )
    assert all(after - before < 2 for before, after in itertools.pairwise(levels))


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_hangs_over_the_edge(opened: Browser, width: int) -> None:
    """Only tables and drawings scroll sideways, each on its own."""
    opened.show(width=width)

    assert opened.run(_WIDTH) <= width


def test_a_checksum_does_not_hang_over_the_edge(
    browser: Browser, tmp_path: Path
) -> None:
    """A word that is longer than a phone is wide is broken."""
    page = tmp_path / "page.html"
    page.write_text(render_page("t", [Text("0" * 64)]), "utf-8")
    browser.open(page)
    browser.show(width=390)

    assert 390 == browser.run(_WIDTH)


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
def test_texts_can_be_read_by_day_and_night(
    opened: Browser, scheme: str, is_dark: bool
) -> None:
    """The page follows the reader's colours; every text has a contrast of 4.5."""
    opened.show(scheme=scheme)

    ground = opened.run("return getComputedStyle(document.body).backgroundColor")
    assert is_dark == (ground != "rgb(255, 255, 255)")
    assert opened.run(_CONTRAST) >= 4.5


def test_a_page_can_be_printed(opened: Browser) -> None:
    """Black on white whatever the scheme, no control, nothing cut off at the edge."""
    opened.show(width=718, media="print", scheme="dark")  # A4 without its margins

    assert opened.run(_WIDTH) <= 718
    assert "rgb(255, 255, 255)" == opened.run(
        "return getComputedStyle(document.body).backgroundColor"
    )
    for part in ("form", "nav", ".cue"):
        shown = f"return document.querySelector('{part}').checkVisibility()"
        assert not opened.run(shown), part
    assert base64.b64decode(opened.print_page()).startswith(b"%PDF")


def test_a_map_brings_its_legend(browser: Browser, tmp_path: Path) -> None:
    """The meaning of its colours is shown with it, and not with other pictures."""
    pixels = np.zeros((120, 120), np.uint8)
    png = encode_png(make_picture({"reference_map": pixels}, "reference_map"))
    legend = {"reference_map": (("rgb(230 0 77)", "Continuous urban fabric"),)}
    exhibit = Exhibit("p", {"a": png, "reference_map": png}, (), {}, legend)
    kinds = {"a": "other", "reference_map": "map"}
    page = tmp_path / "page.html"
    page.write_text(render_page("t", [Gallery("c", (exhibit,), {}, kinds)]), "utf-8")
    browser.open(page)

    is_shown = "return document.querySelector('.legend').checkVisibility()"
    assert not browser.run(is_shown)
    choose(browser, "select[data-picture]", "reference_map")
    assert browser.run(is_shown)
