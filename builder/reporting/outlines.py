"""Borders and coasts of the countries that patches lie in.

Source of `outlines.json`: Natural Earth 1:50m, `admin 0 countries`, version 4.1.0, in
the public domain (https://www.naturalearthdata.com/about/terms-of-use/), as
`countries-50m.json` (sha256 04342cdc1e30…) of the npm package world-atlas 2.0.2 has it:
`make_outlines` cuts out Europe and keeps points that lie a tenth of a degree apart.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any, TypeAlias

# Longitude and latitude in degrees.
Point: TypeAlias = "tuple[float, float]"

# West, east, south, north: all patches lie between.
WINDOW = (-12.0, 34.0, 35.0, 71.5)
_STEP = 0.1


def read_outlines() -> list[list[Point]]:
    """Returns lines, each a list of longitudes and latitudes in degrees."""
    path = resources.files("builder") / "reporting" / "outlines.json"
    lines = json.loads(path.read_text(encoding="utf-8"))["lines"]
    return [[(x, y) for x, y in line] for line in lines]


def make_outlines(topology: Mapping[str, Any]) -> list[list[Point]]:
    """Cuts the lines of a map out of a topology.

    Args:
        topology: TopoJSON with a transform; each arc is a line.

    Returns:
        Lines, as `read_outlines` returns them, rounded to a hundredth of a degree.
    """
    found = []
    for arc in topology["arcs"]:
        points = [*_decode(arc, topology["transform"])]
        for inside, group in itertools.groupby(points, _is_inside):
            line = _thin([*group]) if inside else []
            found += [line] if len(line) > 1 else []
    return found


def _decode(arc: Any, transform: Mapping[str, Any]) -> Iterator[Point]:
    """Yields the points of an arc: differences of integers, scaled and moved."""
    (scale_x, scale_y), (west, south) = transform["scale"], transform["translate"]
    x = y = 0
    for step_x, step_y in arc:
        x, y = x + step_x, y + step_y
        yield x * scale_x + west, y * scale_y + south


def _is_inside(point: Point) -> bool:
    west, east, south, north = WINDOW
    return west <= point[0] <= east and south <= point[1] <= north


def _thin(line: list[Point]) -> list[Point]:
    """Leaves out points close to the one before; both ends stay."""
    kept = line[:1]
    for point in line[1:-1]:
        if max(abs(a - b) for a, b in zip(point, kept[-1], strict=True)) >= _STEP:
            kept.append(point)
    return [(round(x, 2), round(y, 2)) for x, y in [*kept, *line[1:][-1:]]]
