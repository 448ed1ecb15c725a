"""Pictures of patches for people; needs matplotlib (extra `[demo]`)."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bigearthnet.errors import OptionError
from bigearthnet.report.composites import (
    Index,
    ReferenceMap,
    compute_index,
    find_kind,
    list_kinds,
    make_picture,
    take_bands,
)
from bigearthnet.report.given import Given, take_patch, walk_patches
from bigearthnet.report.land_cover import COLORS, name_class
from bigearthnet.util.extras import advise_install

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Patches side by side, and the side of one in inches.
_COLUMNS = 3
_SIDE_IN = 3.0
# Characters of a line of text under a patch.
_LINE_LENGTH = 44


def plot(
    example: Any,
    kind: str = "true_color",
    *,
    bands: Sequence[str] | None = None,
    nomenclature: str | None = None,
) -> Figure:
    """Draws one patch, with its labels below, whichever library gave it.

    Args:
        example: A patch of a reader (`open_reader(...)[0]`); a row of `datasets` or an
            example of TFDS; an image of `load`, of `torch_dataset` or of
            `Reader.images`, of shape (y, x, channel) or (channel, y, x); or a pair
            (image, labels) as these give it, without the axis of the batch.
        kind: `true_color` (B04, B03, B02), `false_color` (B08, B04, B03) or `swir`
            (B12, B8A, B04), all with the stretch of `rgb.STRETCH`,
            round(255 · asinh(DN / 500) / asinh(20)); `ndvi` (B08, B04) or `ndwi` (B03,
            B08), normalized differences, computed in floats and drawn from −1 to 1;
            `sar`: VV from −25 to 0 dB, VH from −32 to −7 dB and VV − VH from −2 to
            15 dB as red, green and blue; `reference_map`: the classes in the colours of
            CORINE Land Cover, with a legend. In upper or lower case.
        bands: Names of the channels of an image, as they were given to `load`; None
            for what `bands="all"` or `"rgb"` gives.
        nomenclature: Name of the classes of a vector of labels, as it was given to
            `load` as `labels`; None for the package's order of 43, 19, 15 or 5 classes.

    Returns:
        A figure of matplotlib's pyplot, which `savefig` writes and notebooks show.

    Raises:
        OptionError: If matplotlib is not installed, there is no such kind, the patch
            lacks a band that it needs, or what is given is no patch.
    """
    given = take_patch(example, bands, nomenclature)
    figure = _new_figure(1)
    _draw(figure, figure.subplots(), given, kind)
    return figure


def show(
    source: Iterable[Any],
    kind: str = "true_color",
    *,
    n: int = 9,
    titles: str = "labels",
    bands: Sequence[str] | None = None,
    nomenclature: str | None = None,
) -> Figure:
    """Draws the first patches of a data set or a reader, side by side.

    Args:
        source: A reader; a data set of `load`, `to_tf`, `torch_dataset`, TFDS or
            `datasets`, or a loader of PyTorch; or a list of what `plot` takes. Batches
            are taken apart.
        kind: See `plot`.
        n: How many patches; fewer, if there are no more.
        titles: What stands below each: `labels`, or a column, such as `patch_id`,
            `country` or `season`.
        bands: See `plot`.
        nomenclature: See `plot`.

    Returns:
        A figure of matplotlib's pyplot.

    Raises:
        OptionError: As `plot`; or if there is no patch, or no such column.
    """
    find_kind(kind)
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise OptionError(f"n: expected at least 1, got {n!r}.")
    patches = [
        take_patch(example, bands, nomenclature)
        for example in itertools.islice(walk_patches(source), n)
    ]
    return draw_patches(patches, kind, titles)


def draw_patches(
    patches: Sequence[Given], kind: str = "true_color", titles: str = "labels"
) -> Figure:
    """Draws patches side by side; see `show`."""
    if not patches:
        raise OptionError("expected patches to draw, got none.")
    figure = _new_figure(len(patches))
    rows = -(-len(patches) // _COLUMNS)
    axes = figure.subplots(rows, min(len(patches), _COLUMNS), squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, given in zip(axes, patches, strict=False):
        axis.set_axis_on()
        _draw(figure, axis, given, kind, titles)
    return figure


def _new_figure(count: int) -> Figure:
    try:
        from matplotlib import pyplot
    except ImportError:
        raise OptionError(
            "pictures need matplotlib: install the extra [demo], "
            f"{advise_install('demo')}, or pip install matplotlib."
        ) from None
    columns, rows = min(count, _COLUMNS), -(-count // _COLUMNS)
    size = (columns * (_SIDE_IN + 0.6) + 0.4, rows * (_SIDE_IN + 1.6))
    figure = pyplot.figure(figsize=size)
    # Room that a title of the whole figure takes from what lies below it.
    figure.set_layout_engine("compressed", h_pad=0.1)
    return figure


def _draw(
    figure: Figure, axis: Axes, given: Given, kind: str, titles: str = "labels"
) -> None:
    """Draws one patch with its texts, and what its colours mean."""
    chosen = find_kind(kind)
    axis.set(xticks=[], yticks=[])
    axis.set_frame_on(False)
    if isinstance(chosen, Index):
        values = compute_index(*take_bands(given.bands, kind))
        drawn = axis.imshow(values, cmap=chosen.colors, vmin=-1, vmax=1)
        figure.colorbar(drawn, ax=axis, shrink=0.7, label=kind.upper())
    elif (
        kind.lower() == "true_color"
        and given.picture is not None
        and not (list_kinds(given.bands))
    ):
        axis.imshow(given.picture, interpolation="nearest")
    else:
        axis.imshow(make_picture(given.bands, kind), interpolation="nearest")
    if patch_id := given.facts.get("patch_id"):
        axis.set_title(patch_id, fontsize=7, parse_math=False)
    if isinstance(chosen, ReferenceMap):
        _add_legend(axis, given)
    else:
        axis.set_xlabel(_wrap(_find_texts(given, titles)), loc="left", fontsize=8)


def _add_legend(axis: Axes, given: Given) -> None:
    """Names the classes of a map, the largest first."""
    from matplotlib.patches import Patch

    numbers, counts = np.unique(given.bands["reference_map"], return_counts=True)
    handles = [
        Patch(
            facecolor=tuple(COLORS[number] / 255),
            edgecolor="black",
            linewidth=0.5,
            label=f"{textwrap.shorten(name_class(int(number)), 60)}, {share:.0%}",
        )
        for number, share in sorted(
            zip(numbers, counts / counts.sum(), strict=True), key=lambda pair: -pair[1]
        )
    ]
    axis.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0, -0.02),
        fontsize=7,
        frameon=False,
        borderaxespad=0,
    )


def _find_texts(given: Given, titles: str) -> tuple[str, ...]:
    if titles == "labels":
        return tuple(f"• {label}" for label in given.labels or ())
    if titles not in given.facts:
        raise OptionError(
            f"titles: expected labels, or one of {', '.join(given.facts) or 'none'}, "
            f"got {titles!r}."
        )
    return (given.facts[titles],)


def _wrap(texts: Sequence[str]) -> str:
    lines = [textwrap.wrap(t, _LINE_LENGTH, subsequent_indent="   ") for t in texts]
    return "\n".join(itertools.chain.from_iterable(lines))
