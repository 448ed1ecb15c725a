"""A drawing of one metric of each class, as SVG that needs no fonts or scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bigearthnet.report.template import render_template

# Labels of one drawing, so that it fits on a sheet of paper.
_MOST_LABELS = 15
# Characters of a label that fit into a line.
_MOST_CHARACTERS = 62


def draw_bars(
    labels: Sequence[str], series: Mapping[str, Sequence[float]], title: str
) -> tuple[str, ...]:
    """Draws a bar for each label and series, below the label.

    Args:
        labels: What the bars are about.
        series: Name → value of each label, in [0, 1].
        title: What the drawing shows, for those who cannot see it.

    Returns:
        `<svg>` elements, white where nothing is drawn: one for each fifteen labels.
    """
    values = zip(*series.values(), strict=True)
    rows = list(zip(map(_shorten, labels), values, strict=True))
    return tuple(
        render_template(
            Path(__file__).with_suffix(".svg"),
            title=title,
            names=list(series),
            rows=rows[start : start + _MOST_LABELS],
        )
        for start in range(0, len(rows), _MOST_LABELS)
    )


def _shorten(text: str) -> str:
    """Cuts the middle out of a label that does not fit into a line."""
    if len(text) <= _MOST_CHARACTERS:
        return text
    return f"{text[: _MOST_CHARACTERS - 13].rstrip()}…{text[-12:]}"
