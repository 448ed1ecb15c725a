from __future__ import annotations

import base64
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bigearthnet.engine.options import BuildOptions
from bigearthnet.errors import OptionError
from bigearthnet.release import Release
from bigearthnet.schema.configs import get_config
from builder.build import build
from builder.figures.tables import choose_stores
from builder.report import choose_readable, write_report
from tests.bigearthnet.report.test_page import Page


@pytest.fixture(scope="module")
def page(all_stores: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of the six real patches."""
    output = tmp_path_factory.mktemp("report") / "new" / "report.html"
    assert 6 == write_report(all_stores, output, quiet=True)
    return output.read_text(encoding="utf-8")


def test_the_page_says_what_was_built(page: str) -> None:
    """Counts stand beside the published ones, with their difference."""
    texts = Page(page).texts

    start = texts.index("Port areas", texts.index("difference"))
    assert ["Port areas", "0", "509", "-509", "0", "0", "0"] == texts[start : start + 7]
    assert any("6 of the 590,326 patches of v1.0 are here" in t for t in texts)
    start = texts.index("winter", texts.index("Patches by season"))
    assert ["winter", "2", "117,156"] == texts[start : start + 3]
    assert "3,166.84" in texts[texts.index("Pixels") :]


def test_every_chapter_has_its_drawing(page: str) -> None:
    """Classes in four nomenclatures, dates, map, labels, pairs and pixels."""
    captions = [str(img["alt"]) for img in Page(page).find("img")]

    for word in (
        *("CLC43", "BEN19", "CLC_LEVEL2", "CLC_LEVEL1", "day of acquisition"),
        *("Where patches lie", "number of labels", "come together", "optical bands"),
    ):
        assert any(word in caption for caption in captions), word


def test_classes_of_a_part_are_seen_beside_published_ones(page: str) -> None:
    """Bars are percent of the patches: 3 of 6 here, 196,695 of 590,326 published."""
    drawings = [
        base64.b64decode(str(img["src"]).partition("base64,")[2]).decode()
        for img in Page(page).find("img")
        if "class of CLC43" in str(img["alt"])
    ]

    assert ">50.0 %<" in drawings[0]  # Non-irrigated arable land
    assert ">33.3 %<" in drawings[0]


def test_the_gallery_shows_each_patch_in_all_composites(page: str) -> None:
    """Six cards with five pictures each, of which the first is shown."""
    read = Page(page)
    pictures = [img for img in read.find("img") if "data-picture" in img]
    kinds = ["true_color", "false_color", "swir", "ndvi", "ndwi"]

    assert 6 * kinds == [img["data-picture"] for img in pictures]
    assert 6 == len([img for img in pictures if "hidden" not in img])
    options = [option["value"] for option in read.find("option")]
    assert kinds == options[:5]
    assert {"train", "test", "excluded", "winter", "seasonal snow"} < set(options)
    assert "62.8196° N, 30.5999° E" in page[page.index("Gallery") :]


def test_nothing_comes_from_elsewhere(page: str) -> None:
    """All that the page refers to is within it."""
    targets = re.findall(r'(?:src|href)="([^"]{0,11})', page)

    assert {"data:image/"} == {t for t in targets if not t.startswith("#")}
    assert "http:" not in re.sub(r"base64,[\w+/=]+", "", page)


def test_a_release_with_maps_and_radar_shows_both(
    release: Release, downloads: Path, tmp_path: Path
) -> None:
    """Sentinel-1 in a store of its own is read, too; maps have a legend."""
    for name in ("v2-s2", "v2-s1", "v2-s2-rgb"):
        options = BuildOptions(include_excluded=True, quiet=True, workers=1)
        build(downloads, tmp_path, get_config(name, [release]), options)

    write_report(tmp_path, tmp_path / "report.html", quiet=True, releases=[release])

    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    pictures = {img.get("data-picture") for img in Page(text).find("img")}
    assert {"true_color", "sar", "reference_map", None} < pictures
    assert "Values of radar bands" in text
    assert 'class="legend"' in text
    assert "VV" in Page(text).texts
    for config in (None, "v2-s1s2"):
        stores = choose_readable(choose_stores(tmp_path, config, [release]))
        assert ["v2-s2", "v2-s1"] == [store.config.name for store in stores]


def test_the_command_names_its_page(all_stores: Path, tmp_path: Path) -> None:
    """It ends well, and says where the page is; never within a store."""
    output = tmp_path / "report.html"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "builder.report"),
            *(f"--data_dir={all_stores}", f"--output={output}"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    assert f"{output}: " in done.stdout
    assert "6 patches in the gallery" in done.stdout
    store = choose_stores(all_stores)[0]
    with pytest.raises(OptionError, match="lies in the store"):
        write_report(all_stores, store.folder / "report.html", quiet=True)
