"""Drawings of a report, as SVG; needs matplotlib."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bigearthnet.report.svg import COLORS, draw_svg, escape
from builder.reporting.outlines import WINDOW, read_outlines
from builder.reporting.pixels import Histogram

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# More patches are drawn as squares of a tenth of a degree that hold some.
_MOST_POINTS = 2_000
_BINS_PER_DEGREE = 10
# How much shorter a degree of longitude is than one of latitude, in the middle.
_ASPECT = 1 / np.cos(np.radians(53))
_GRID_COLUMNS = 4
# Before the first and after the last day of a drawing.
_MARGIN = datetime.timedelta(days=20)


def draw_dates(counts: Mapping[str, int]) -> bytes:
    """Draws how many patches were taken on each day.

    Args:
        counts: Date, as ISO 8601 → patches.
    """
    days = [datetime.date.fromisoformat(day) for day in counts]

    def draw(figure: Figure) -> None:
        from matplotlib.dates import ConciseDateFormatter, MonthLocator
        from matplotlib.ticker import MaxNLocator

        axis = figure.subplots()
        axis.bar(days, list(counts.values()), width=1.5, color=COLORS[0])  # type: ignore[arg-type]
        locator = MonthLocator()  # type: ignore[no-untyped-call]
        axis.xaxis.set_major_locator(locator)
        short = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
        axis.xaxis.set_major_formatter(short)
        axis.yaxis.set_major_formatter("{x:,.0f}")
        axis.yaxis.set_major_locator(MaxNLocator(integer=True))
        axis.set(ylabel="patches", xlim=(min(days) - _MARGIN, max(days) + _MARGIN))
        axis.spines[["top", "right"]].set_visible(False)

    return draw_svg(draw, 9, 3)


def count_pairs(masks: npt.NDArray[np.uint64], num_classes: int) -> npt.NDArray[Any]:
    """Counts the patches that have both of two classes.

    Args:
        masks: Class ids as bits, shape (patch,), uint64.
        num_classes: Classes of the nomenclature.

    Returns:
        Shape (class, class), int64; the diagonal has the patches with each class.
    """
    pairs = np.zeros((num_classes, num_classes), np.int64)
    numbers = np.arange(num_classes, dtype=np.uint64)
    for start in range(0, len(masks), 2**16):
        part = masks[start : start + 2**16, None] >> numbers & np.uint64(1)
        bits = part.astype(np.float64)
        pairs += (bits.T @ bits).astype(np.int64)
    return pairs


def draw_pairs(pairs: npt.NDArray[Any], labels: Sequence[str]) -> bytes:
    """Draws which part of the patches of a class (row) has another one, too (column).

    Args:
        pairs: As `count_pairs` returns them.
        labels: Names of the classes.
    """
    totals = pairs.diagonal()[:, None]
    part = np.divide(pairs, totals, out=np.full(pairs.shape, np.nan), where=totals > 0)
    np.fill_diagonal(part, np.nan)
    texts = [escape(label if len(label) < 40 else f"{label[:38]}…") for label in labels]

    def draw(figure: Figure) -> None:
        axis = figure.subplots()
        drawn = axis.imshow(part, cmap="viridis", vmin=0, vmax=1, interpolation="none")
        places = range(len(labels))
        axis.set_xticks(places, texts, rotation=90, fontsize=6)
        axis.set_yticks(places, texts, fontsize=6)
        label = "part of the patches of a row that also have the class of a column"
        figure.colorbar(drawn, ax=axis, shrink=0.5, label=label)

    return draw_svg(draw, 10, 9)


def draw_histograms(histograms: Mapping[str, Histogram], unit: str) -> bytes:
    """Draws how values of each band are distributed.

    Args:
        histograms: Band name → its histogram.
        unit: The unit of the values.
    """
    rows = -(-len(histograms) // _GRID_COLUMNS)

    def draw(figure: Figure) -> None:
        columns = min(_GRID_COLUMNS, len(histograms))
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for axis in axes:
            axis.set_axis_off()
        for axis, (name, found) in zip(axes, histograms.items(), strict=False):
            axis.set_axis_on()
            total = max(1, int(found.counts.sum()))
            percent = 100 * found.counts / total
            axis.stairs(percent, found.edges, fill=True, color=COLORS[0])
            axis.set_title(name, fontsize=9)
            axis.tick_params(labelsize=7)
            axis.spines[["top", "right"]].set_visible(False)
        figure.supxlabel(unit, fontsize=9)
        figure.supylabel("% of pixels", fontsize=9)

    return draw_svg(draw, 9, 1.7 * rows + 0.4)


def draw_map(
    longitudes: npt.NDArray[np.float64],
    latitudes: npt.NDArray[np.float64],
    splits: Mapping[str, npt.NDArray[np.bool_]],
) -> bytes:
    """Draws where the patches of each split lie, over the outlines of countries.

    Args:
        longitudes: Of the middle of each patch, degrees, shape (patch,).
        latitudes: Likewise.
        splits: Name of each split → which patches it has, shape (patch,), bool.
    """
    from matplotlib.collections import LineCollection

    rows = -(-len(splits) // _GRID_COLUMNS)
    west, east, south, north = WINDOW
    lines = read_outlines()

    def draw(figure: Figure) -> None:
        columns = min(_GRID_COLUMNS, len(splits))
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for axis in axes:
            axis.set_axis_off()
        for axis, (name, chosen) in zip(axes, splits.items(), strict=False):
            outlines = LineCollection(lines, colors="#999999", linewidths=0.4)
            outlines.set_rasterized(True)  # once for each split
            axis.add_collection(outlines)
            _draw_places(axis, longitudes[chosen], latitudes[chosen])
            axis.set(xlim=(west, east), ylim=(south, north), aspect=_ASPECT)
            axis.set_title(f"{name}: {int(chosen.sum()):,}", fontsize=9)

    return draw_svg(draw, 10, 3.9 * rows)


def _draw_places(
    axis: Any, longitudes: npt.NDArray[np.float64], latitudes: npt.NDArray[np.float64]
) -> None:
    """Draws points, or squares that hold many, darker where they hold more."""
    if len(longitudes) <= _MOST_POINTS:
        axis.scatter(longitudes, latitudes, s=6, color=COLORS[5], linewidths=0)
        return
    west, east, south, north = WINDOW
    bins = [
        round((east - west) * _BINS_PER_DEGREE),
        round((north - south) * _BINS_PER_DEGREE),
    ]
    counts, _, _ = np.histogram2d(longitudes, latitudes, bins, [WINDOW[:2], WINDOW[2:]])
    axis.imshow(
        np.ma.masked_equal(counts.T, 0),
        origin="lower",
        extent=WINDOW,
        cmap="cividis_r",
        norm="log",
        interpolation="none",
        zorder=2,
    )
