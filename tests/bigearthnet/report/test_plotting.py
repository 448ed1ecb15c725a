from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import bigearthnet
from bigearthnet.errors import OptionError
from bigearthnet.release.nomenclature import CLC43
from bigearthnet.report.composites import KINDS, compute_index, make_picture

plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def no_window() -> Iterator[None]:
    """Nothing is shown, and figures are closed."""
    plt.switch_backend("agg")
    yield
    plt.close("all")


def test_a_patch_is_drawn_with_its_labels(all_stores: Path, tmp_path: Path) -> None:
    """The picture is the composite; id and labels stand beside; it can be saved."""
    patch = bigearthnet.open_reader("test", all_stores)[0]

    figure = bigearthnet.plot(patch, "false_color")

    (axis,) = figure.axes
    bands = dict(zip(("B02", "B03", "B04", "B08"), patch["bands_10m"], strict=True))
    expected = make_picture(bands, "false_color")
    np.testing.assert_array_equal(expected, axis.images[0].get_array())
    assert patch["patch_id"] == axis.get_title()
    names = [CLC43.labels[number] for number in patch["labels"]]
    shown = axis.get_xlabel().replace("\n   ", " ")
    assert "\n".join(f"• {name}" for name in names) == shown
    figure.savefig(tmp_path / "patch.png")
    assert (tmp_path / "patch.png").stat().st_size > 0


def test_an_index_has_a_scale(all_stores: Path) -> None:
    """It is drawn as floats from −1 to 1, with a colour bar."""
    patch = bigearthnet.open_reader("test", all_stores)[0]

    image, bar = bigearthnet.plot(patch, "NDVI").axes

    _, _, red, infrared = patch["bands_10m"]
    drawn = image.images[0]
    np.testing.assert_array_equal(compute_index(infrared, red), drawn.get_array())
    assert (-1, 1) == drawn.get_clim()
    assert "NDVI" == bar.get_ylabel()


def test_a_map_has_a_legend_of_its_classes() -> None:
    """Names and shares of the classes that are there, the largest first."""
    pixels = np.zeros((1, 120, 120), np.uint8)
    pixels[0, :30] = 40
    pixels[0, :3] = 255

    (axis,) = bigearthnet.plot({"reference_map": pixels}, "reference_map").axes

    texts = [text.get_text() for text in axis.get_legend().get_texts()]
    assert [
        "Continuous urban fabric, 75%",
        f"{CLC43.labels[40]}, 22%",
        "Unlabelled, 2%",
    ] == texts


def test_the_first_patches_are_shown(all_stores: Path) -> None:
    """As many as there are, with the column below that is asked for."""
    reader = bigearthnet.open_reader("train", all_stores)

    figure = bigearthnet.show(reader, n=9, titles="country")

    drawn = [axis for axis in figure.axes if axis.images]
    countries = [patch.describe()["country"] for patch in reader]
    assert countries == [axis.get_xlabel() for axis in drawn]
    assert 2 == len([a for a in bigearthnet.show(reader, n=2).axes if a.images])


def test_labels_do_not_run_into_the_row_below() -> None:
    """The title of the whole figure, which people add, takes room from no text."""
    labels = np.arange(43) % 9 == 0
    patch = {"VV": np.zeros((9, 9)), "VH": np.zeros((9, 9)), "patch_id": "p"}
    figure = bigearthnet.show([(patch, labels)] * 6, "sar")
    figure.suptitle("Sentinel-1")
    figure.canvas.draw()

    drawn = [axis for axis in figure.axes if axis.images]
    for above, below in zip(drawn[:3], drawn[3:], strict=True):
        label = above.xaxis.label.get_window_extent()
        assert label.y0 > below.title.get_window_extent().y1


def test_a_stored_picture_is_drawn_as_it_is() -> None:
    """An 8-bit picture is not stretched again; other kinds need bands."""
    picture = np.arange(120 * 120 * 3, dtype=np.uint8).reshape(120, 120, 3)

    (axis,) = bigearthnet.plot({"image": picture}).axes

    np.testing.assert_array_equal(picture, axis.images[0].get_array())
    with pytest.raises(OptionError, match="ndvi needs B08, B04"):
        bigearthnet.plot({"image": picture}, "ndvi")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n: expected at least 1"),
        ({"kind": "evi"}, "unknown kind"),
        ({"titles": "town"}, "titles: expected labels, or one of .*country"),
    ],
)
def test_options_without_a_meaning_are_refused(
    all_stores: Path, options: dict[str, object], message: str
) -> None:
    """The error says what was expected."""
    reader = bigearthnet.open_reader("test", all_stores)

    with pytest.raises(OptionError, match=message):
        bigearthnet.show(reader, **options)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="expected patches to draw, got none"):
        bigearthnet.show([])


def test_all_kinds_are_documented() -> None:
    """The docstring of `plot` names each."""
    assert all(f"`{name}`" in str(bigearthnet.plot.__doc__) for name in KINDS)
