"""A drawing of one metric of each class, as SVG that needs no fonts or scripts."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

# Sizes in units of the drawing, whose width is that of a small phone in CSS pixels, so
# that text keeps its size there.
_WIDTH = 360
_TEXT = 11
_BAR = 8
_GAP = 8
_RIGHT = 36
# Labels of one drawing, so that it fits on a sheet of paper.
_MOST_LABELS = 15

# Colours that people with colour-blindness tell apart (Okabe and Ito, 2008); used again
# from the seventh model on.
_COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")


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
    return tuple(
        _draw_piece(
            labels[start : start + _MOST_LABELS],
            {n: v[start : start + _MOST_LABELS] for n, v in series.items()},
            title,
        )
        for start in range(0, len(labels), _MOST_LABELS)
    )


def _draw_piece(
    labels: Sequence[str], series: Mapping[str, Sequence[float]], title: str
) -> str:
    parts: list[str] = []
    y = 0
    for number, name in enumerate(series):
        parts.append(_rectangle(0, y + 3, 10, 10, _color(number)))
        parts.append(_text(16, y + _TEXT + 1, name))
        y += _TEXT + 6
    y += _GAP
    for place, label in enumerate(labels):
        y += _TEXT
        parts.append(_text(0, y, _shorten(label)))
        y += 4
        for number, values in enumerate(series.values()):
            parts += _draw_bar(y, values[place], _color(number))
            y += _BAR + 2
        y += _GAP
    return (
        f'<svg viewBox="0 0 {_WIDTH} {y}" role="img" aria-label="{_escape(title)}" '
        f'font-family="sans-serif" font-size="{_TEXT}">\n'
        f"{_rectangle(0, 0, _WIDTH, y, '#ffffff')}\n{chr(10).join(parts)}\n</svg>"
    )


def _draw_bar(y: int, value: float, color: str) -> list[str]:
    full = _WIDTH - _RIGHT
    return [
        _rectangle(0, y, full, _BAR, "#eeeeee"),
        _rectangle(0, y, round(full * value, 1), _BAR, color),
        _text(_WIDTH, y + _BAR, f"{value:.2f}", size=9, anchor="end"),
    ]


def _rectangle(x: float, y: float, width: float, height: float, color: str) -> str:
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{color}"/>'


def _text(
    x: float, y: float, text: str, *, size: int = _TEXT, anchor: str = "start"
) -> str:
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}" '
        f'fill="#1b1b1b">{_escape(text)}</text>'
    )


def _shorten(text: str) -> str:
    """Cuts the middle out of a label that does not fit into a line."""
    most, end = int(_WIDTH / (_TEXT * 0.52)), 12
    if len(text) <= most:
        return text
    return f"{text[: most - end - 1].rstrip()}…{text[-end:]}"


def _color(number: int) -> str:
    return _COLORS[number % len(_COLORS)]


def _escape(text: str) -> str:
    return html.escape(text, quote=True)
