"""Drawings of matplotlib as SVG, the same bytes for the same values."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# That people with colour-blindness tell apart (Okabe and Ito, 2008); used again from
# the seventh on.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")

# Texts stay texts, and names within the file do not change.
_OPTIONS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "bigearthnet",
    "font.size": 9,
}


def draw_svg(draw: Callable[[Figure], None], width: float, height: float) -> bytes:
    """Makes a drawing on a white ground.

    Args:
        draw: Draws on a figure.
        width: Width in inches.
        height: Height in inches.

    Returns:
        A file of SVG, which needs no other.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    buffer = io.BytesIO()
    with rc_context(_OPTIONS):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=nothing, dpi=150)
    return buffer.getvalue()


def escape(text: str) -> str:
    """Keeps matplotlib from taking what is between two dollars for a formula."""
    return text.replace("$", r"\$")
