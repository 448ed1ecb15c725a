"""Pictures of patches for people; needs matplotlib (extra `[demo]`)."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

# Patches side by side, and the width of one in inches.
_COLUMNS = 3
_SIDE_IN = 3.0
# Characters of a line of text under a patch.
_LINE_LENGTH = 44


@dataclass(frozen=True)
class Panel:
    """One patch of a picture.

    Attributes:
        title: Text above the patch.
        labels: Names of its classes, written below.
        image: Shape (y, x, 3), uint8.
    """

    title: str
    labels: tuple[str, ...]
    image: npt.NDArray[np.uint8]


def write_picture(panels: Sequence[Panel], path: Path, heading: str) -> None:
    """Draws patches with their labels.

    Args:
        panels: The patches; at least one, with images of one shape.
        path: File to write; its ending chooses the format.
        heading: Text above all.
    """
    from matplotlib.figure import Figure

    rows = -(-len(panels) // _COLUMNS)
    height, width, _ = panels[0].image.shape
    figure = Figure(
        figsize=(
            _COLUMNS * (_SIDE_IN + 0.6),
            rows * (_SIDE_IN * height / width + 2.0) + 0.5,
        ),
        layout="constrained",
    )
    figure.suptitle(heading)
    axes = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for axis in axes:
        axis.set(xticks=[], yticks=[])
        axis.set_frame_on(False)
    for axis, panel in zip(axes, panels, strict=False):
        axis.imshow(panel.image, interpolation="nearest")
        axis.set_title(panel.title, fontsize=8)
        lines = [
            line
            for label in panel.labels
            for line in textwrap.wrap(
                label, _LINE_LENGTH, initial_indent="• ", subsequent_indent="   "
            )
        ]
        axis.set_xlabel("\n".join(lines), loc="left", fontsize=8)
    figure.savefig(path, dpi=120)
