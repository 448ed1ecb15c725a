"""A drawing of one metric of each class, as SVG; needs matplotlib."""

from __future__ import annotations

import io
import itertools
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

# Labels of one drawing, so that it fits on a sheet of paper.
_MOST_LABELS = 15
# Characters of a label that fit into a line; longer ones are wrapped.
_MOST_CHARACTERS = 56
# That people with colour-blindness tell apart (Okabe and Ito, 2008); used again from
# the seventh model on.
_COLORS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"]
# Texts stay texts, and the same values give the same bytes.
_OPTIONS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "bigearthnet",
    "font.size": 9,
}
# A line of text, in inches.
_LINE_IN = 0.17


def draw_bars(
    labels: Sequence[str], series: Mapping[str, Sequence[float]]
) -> tuple[bytes, ...]:
    """Draws a bar for each label and series, below the label, on a white ground.

    Args:
        labels: What the bars are about.
        series: Name → value of each label, in [0, 1].

    Returns:
        Files of SVG: one for each fifteen labels.
    """
    starts = range(0, len(labels), _MOST_LABELS)
    chosen = [slice(start, start + _MOST_LABELS) for start in starts]
    return tuple(
        _draw(labels[rows], {name: v[rows] for name, v in series.items()})
        for rows in chosen
    )


def _draw(labels: Sequence[str], series: Mapping[str, Sequence[float]]) -> bytes:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    texts = [textwrap.wrap(label, _MOST_CHARACTERS) for label in labels]
    # Lines: those of a label, its bars, half of one between.
    steps = [len(lines) + len(series) + 0.5 for lines in texts]
    tops = [0.0, *itertools.accumulate(steps)]
    height = _LINE_IN * (tops[-1] + 1.5 * len(series) + 1)
    buffer = io.BytesIO()
    with rc_context(_OPTIONS):
        figure = Figure(figsize=(4, height), layout="constrained")
        axis = figure.subplots()
        for number, (name, values) in enumerate(series.items()):
            places = [
                top + len(lines) + number
                for top, lines in zip(tops, texts, strict=False)
            ]
            color = _COLORS[number % len(_COLORS)]
            bars = axis.barh(places, values, 0.8, color=color, label=_escape(name))
            axis.bar_label(bars, fmt="%.2f", padding=2, fontsize=8)
        for top, lines in zip(tops, texts, strict=False):
            for number, line in enumerate(lines):
                axis.text(0, top + number, _escape(line), va="center")
        axis.set(xlim=(0, 1.08), ylim=(tops[-1] - 0.5, -1))
        axis.set_axis_off()
        figure.legend(loc="outside upper left", frameon=False)
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=nothing)
    return buffer.getvalue()


def _escape(text: str) -> str:
    """Keeps matplotlib from taking what is between two dollars for a formula."""
    return text.replace("$", r"\$")
