"""A drawing of one or more numbers of each label, as SVG; needs matplotlib."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bigearthnet.report.svg import COLORS, draw_svg, escape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Labels of one drawing, so that it fits on a sheet of paper.
_MOST_LABELS = 15
# Characters of a label that fit into a line; longer ones are wrapped.
_MOST_CHARACTERS = 56
# A line of text, in inches.
_LINE_IN = 0.17


def draw_bars(
    labels: Sequence[str],
    series: Mapping[str, Sequence[float]],
    *,
    most: float = 1,
    form: str = "{:.2f}",
) -> tuple[bytes, ...]:
    """Draws a bar for each label and series, below the label, on a white ground.

    Args:
        labels: What the bars are about.
        series: Name → value of each label, in [0, most].
        most: The value of the longest bar that fits.
        form: How values are written at the end of bars.

    Returns:
        Files of SVG: one for each fifteen labels.
    """
    starts = range(0, len(labels), _MOST_LABELS)
    chosen = [slice(start, start + _MOST_LABELS) for start in starts]
    return tuple(
        _draw(labels[rows], {name: v[rows] for name, v in series.items()}, most, form)
        for rows in chosen
    )


def _draw(
    labels: Sequence[str], series: Mapping[str, Sequence[float]], most: float, form: str
) -> bytes:
    texts = [textwrap.wrap(label, _MOST_CHARACTERS) for label in labels]
    # Lines: those of a label, its bars, half of one between.
    steps = [len(lines) + len(series) + 0.5 for lines in texts]
    tops = [0.0, *itertools.accumulate(steps)]
    # What a value takes at the end of a bar, as a part of the longest one.
    margin = 0.08 + 0.02 * max(0, len(form.format(most)) - 4)

    def draw(figure: Figure) -> None:
        axis = figure.subplots()
        for number, (name, values) in enumerate(series.items()):
            places = [
                top + len(lines) + number
                for top, lines in zip(tops, texts, strict=False)
            ]
            color = COLORS[number % len(COLORS)]
            bars = axis.barh(places, values, 0.8, color=color, label=escape(name))
            axis.bar_label(bars, fmt=form.format, padding=2, fontsize=8)
        for top, lines in zip(tops, texts, strict=False):
            for number, line in enumerate(lines):
                axis.text(0, top + number, escape(line), va="center")
        axis.set(xlim=(0, most * (1 + margin)), ylim=(tops[-1] - 0.5, -1))
        axis.set_axis_off()
        figure.legend(loc="outside upper left", frameon=False)

    return draw_svg(draw, 4, _LINE_IN * (tops[-1] + 1.5 * len(series) + 1))
