"""What one archive holds of a patch: its files, its pixels, its metadata; no I/O."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bigearthnet.errors import PatchError
from bigearthnet.release import Archive
from bigearthnet.release.bands import Band
from bigearthnet.release.nomenclature import Nomenclature
from bigearthnet.source.georeference import Georeference
from bigearthnet.source.geotiff import read_band
from bigearthnet.source.metadata import parse_metadata


@dataclass(frozen=True)
class RawPatch:
    """The files of one complete patch, as they are in the source.

    Attributes:
        row: Row of the patch in the release's table.
        name: What the archive calls the patch.
        files: File name → content: bands and JSON, in the source's order.
        offset: Where the header of its first file is in the decompressed source, in
            bytes; None in a folder.
    """

    row: int
    name: str
    files: Mapping[str, bytes]
    offset: int | None = None


@dataclass(frozen=True)
class Patch:
    """One patch, decoded.

    Attributes:
        pixels: Pieces that make up the pixels of all bands, little-endian: the groups
            of the archive one after another, each (band, y, x).
        labels: Ascending class ids of the release's nomenclature; empty if the archive
            has no JSON.
        fields: The other content of the JSON, by name of the field.
        shift_m: How far its bands lie from where its JSON says, or, without one, from
            its first band, in metres: less than a pixel.
        num_unplaced: How many of its bands do not say where they lie.
    """

    pixels: tuple[bytes | memoryview, ...]
    labels: tuple[int, ...] = ()
    fields: Mapping[str, str | int] = field(default_factory=dict)
    # Found while decoding, and no part of what is stored.
    shift_m: float = field(default=0.0, compare=False)
    num_unplaced: int = field(default=0, compare=False)

    def groups(self, archive: Archive) -> dict[str, npt.NDArray[Any]]:
        """Returns the bands.

        Args:
            archive: The archive that the patch is of.

        Returns:
            Name of each group → read-only array of shape (band, y, x), of the group's
            dtype.
        """
        pieces = self.pixels
        content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        groups, start = {}, 0
        for group in archive.groups:
            pixels = np.ndarray(
                group.shape, _little_endian(group.dtype), content, start
            )
            pixels.flags.writeable = False
            groups[group.name] = pixels
            start += group.nbytes
        return groups


@dataclass
class PlaceCounts:
    """How well the bands of patches agree about where they lie.

    Attributes:
        shifted: Patches whose bands do not lie exactly where the JSON says.
        max_shift_m: The farthest of them, in metres.
        unplaced: Patches with a band that does not say where it lies.
    """

    shifted: int = 0
    max_shift_m: float = 0.0
    unplaced: int = 0

    def add(self, patch: Patch) -> None:
        """Counts a patch."""
        if patch.shift_m:
            self.shifted += 1
            self.max_shift_m = max(self.max_shift_m, patch.shift_m)
        if patch.num_unplaced:
            self.unplaced += 1


@functools.cache
def _little_endian(dtype: str) -> np.dtype[Any]:
    return np.dtype(dtype).newbyteorder("<")


# Reads one band; arguments, result and errors as those of `geotiff.read_band`.
ReadBand = Callable[
    [bytes, Band, str, str, str], tuple[bytes | memoryview, Georeference | None]
]


def decode_patch(
    raw: RawPatch,
    archive: Archive,
    nomenclature: Nomenclature,
    read: ReadBand = read_band,
) -> Patch:
    """Decodes and checks every file of a patch.

    Args:
        raw: The patch's files.
        archive: The archive that they are of.
        nomenclature: The vocabulary that the labels must come from.
        read: Reads one file.

    Returns:
        The patch at native resolution.

    Raises:
        PatchError: If a band or the JSON is damaged, or not what the release holds, or
            a band lies elsewhere than the JSON, or the first band, says.
    """
    bands = [
        read(raw.files[name], band, group.dtype, raw.name, name)
        for group in archive.groups
        for band in group.bands
        for name in [archive.band_file(raw.name, band)]
    ]
    pixels = tuple([content for content, _ in bands])
    places = [place for _, place in bands]
    unplaced = places.count(None)
    file = archive.metadata_file(raw.name)
    if file is None:
        shift = _check_places(raw.name, archive, places, None)
        return Patch(pixels, shift_m=shift, num_unplaced=unplaced)
    labels, fields = parse_metadata(
        raw.files[file], patch_id=raw.name, file=file, nomenclature=nomenclature
    )
    shift = _check_places(raw.name, archive, places, fields)
    return Patch(pixels, labels, fields, shift, unplaced)


# The fields of a JSON that are a Georeference, in its order.
_PLACE_FIELDS = (
    "epsg",
    *(f"coordinates/{corner}" for corner in ("ulx", "uly", "lrx", "lry")),
)


def _check_places(
    name: str,
    archive: Archive,
    places: Sequence[Georeference | None],
    fields: Mapping[str, Any] | None,
) -> float:
    """Checks that all bands lie at one place; returns how far they are apart.

    Args:
        name: What the archive calls the patch.
        archive: The archive.
        places: Where each band lies, in the order of its files.
        fields: The content of the JSON; None if the archive has none.

    Returns:
        The farthest, in metres.

    Raises:
        PatchError: If a band is a pixel of the finest band away, or more.
    """
    expected, said_by, shift = None, "the first band says", 0.0
    if fields is not None:
        expected = Georeference(*[fields[name] for name in _PLACE_FIELDS])
        said_by = "the JSON says"
    for number, place in enumerate(places):
        expected = expected or place
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
