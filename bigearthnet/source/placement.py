"""Whether the bands of a patch lie where they should."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bigearthnet.errors import PatchError
from bigearthnet.release import Archive
from bigearthnet.source.georeference import Georeference

# The fields that are a Georeference, in its order.
_PLACE_FIELDS: Final = (
    "epsg",
    *(f"coordinates/{corner}" for corner in ("ulx", "uly", "lrx", "lry")),
)


def find_place(fields: Mapping[str, Any]) -> Georeference:
    """Returns where fields say that a patch lies; inverse of `make_place_fields`."""
    return Georeference(*[fields[name] for name in _PLACE_FIELDS])


def make_place_fields(
    name: str, archive: Archive, places: Sequence[Georeference | None]
) -> dict[str, int]:
    """Returns the fields that say where a patch lies.

    Args:
        name: What the archive calls the patch.
        archive: The archive.
        places: Where each band lies, in the order of its files.

    Raises:
        PatchError: If a band does not say it, or the first one not in whole metres.
    """
    first = places[0]
    if (
        None in places
        or first is None
        or first.epsg is None
        or any(value % 1 for value in first[1:])
    ):
        number = places.index(None) if None in places else 0
        raise PatchError(
            "expected a georeferenced band, with an EPSG code and corners at whole "
            f"metres, got {places[number] or 'none'}. Take the file as it was "
            "published.",
            patch_id=name,
            file=archive.file_names(name)[number],
        )
    values = [first.epsg, *map(int, first[1:])]
    return dict(zip(_PLACE_FIELDS, values, strict=True))


def check_places(
    name: str,
    archive: Archive,
    places: Sequence[Georeference | None],
    expected: Georeference | None,
    said_by: str,
) -> float:
    """Checks that all bands lie at one place; returns how far they are from it.

    Args:
        name: What the archive calls the patch.
        archive: The archive.
        places: Where each band lies, in the order of its files.
        expected: Where they must lie; None if nobody knows.
        said_by: Who says that, for the error.

    Returns:
        The farthest, in metres.

    Raises:
        PatchError: If a band is a pixel of the finest band away, or more.
    """
    shift = 0.0
    for number, place in enumerate(places):
        if expected is None or place is None or place == expected:
            continue
        distance = place.distance(expected)
        if distance >= archive.resolution_m:
            raise PatchError(
                f"the band lies elsewhere than {said_by}: expected {expected}, got "
                f"{place}. One of them belongs to another patch: extract or download "
                "the patch again.",
                patch_id=name,
                file=archive.file_names(name)[number],
            )
        shift = max(shift, distance)
    return shift
