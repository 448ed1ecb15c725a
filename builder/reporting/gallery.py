"""The gallery of a report: chosen patches with their pictures and what is known."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bigearthnet.report.composites import KINDS
from bigearthnet.report.land_cover import COLORS, name_class
from bigearthnet.report.page import Exhibit, Gallery
from builder.figures.tables import Patches
from builder.reporting.choice import MOST_PATCHES

_MAP = "reference_map"


def make_gallery(
    patches: Patches,
    rows: Sequence[int],
    values: Mapping[str, Mapping[str, Any]],
    pictures: Mapping[str, Mapping[str, bytes]],
    places: Sequence[str],
) -> Gallery:
    """Makes a gallery.

    Args:
        patches: The table of patches.
        rows: Rows of those to show.
        values: What they can be chosen by, as `choice.list_values` returns it.
        pictures: Patch id → kind of picture → its file.
        places: Where each of the rows lies, for people.
    """
    chosen = patches.table.take(list(rows)).to_pylist()
    exhibits = tuple(
        _make_exhibit(
            fact,
            {
                kind: tuple(v for v, has in found.items() if has[row])
                for kind, found in values.items()
            },
            pictures.get(fact["patch_id"], {}),
            place,
        )
        for row, fact, place in zip(rows, chosen, places, strict=True)
    )
    shown = [k for k in KINDS if any(k in one.pictures for one in exhibits)]
    caption = (
        f"{len(exhibits)} patches, at most {MOST_PATCHES}: at least five of each class "
        "and twenty of each split, country, season and flag, where there are as many."
    )
    offered = {kind: tuple(found) for kind, found in values.items()}
    texts = {
        name: f"{name.replace('_', ' ')}: {KINDS[name].description}" for name in shown
    }
    return Gallery(caption, exhibits, offered, texts)


def _make_exhibit(
    fact: Mapping[str, Any],
    values: Mapping[str, tuple[str, ...]],
    pictures: Mapping[str, bytes],
    place: str,
) -> Exhibit:
    lines = [("labels", "; ".join(values["class"]) or "none")]
    about = [values.get(kind, ()) for kind in ("split", "country", "season")]
    lines.append(("about", " · ".join(v for found in about for v in found)))
    flags = [flag for flag in values.get("flag", ()) if flag != "neither"]
    lines += [("flags", ", ".join(flags))] if flags else []
    lines += [("date", str(fact["date"]))] if fact.get("date") else []
    lines += [("position", place)] if place else []
    legend = {_MAP: _make_legend(pictures[_MAP])} if _MAP in pictures else {}
    return Exhibit(fact["patch_id"], pictures, tuple(lines), values, legend)


def _make_legend(picture: bytes) -> tuple[tuple[str, str], ...]:
    """Names the colours of a map, the largest area first."""
    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).reshape(-1, 3)
    found, counts = np.unique(pixels, axis=0, return_counts=True)
    numbers = {tuple(COLORS[n].tolist()): n for n in (*range(44), 255)}
    order = np.argsort(-counts, kind="stable")
    return tuple(
        (f"rgb({' '.join(map(str, color))})", name_class(numbers[color]))
        for color in (tuple(found[i].tolist()) for i in order)
        if color in numbers
    )
