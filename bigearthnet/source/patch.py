"""What one archive holds of a patch: its files, its pixels, its metadata; no I/O."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bigearthnet.release import Archive
from bigearthnet.release.bands import Band
from bigearthnet.release.nomenclature import Nomenclature
from bigearthnet.source.georeference import Georeference
from bigearthnet.source.geotiff import read_band
from bigearthnet.source.maps import translate_maps
from bigearthnet.source.metadata import parse_metadata
from bigearthnet.source.placement import (
    check_places,
    find_place,
    make_place_fields,
)


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
        labels: Ascending class ids of the release's nomenclature, of its JSON or its
            map; empty if the archive has neither.
        fields: The other content of the JSON, by name of the field; without one, where
            the patch lies, if it is stored.
        place: Where its JSON, or else its first band, says that it lies; None if
            neither does.
        shift_m: How far its bands lie from there, in metres: less than a pixel.
        num_unplaced: How many of its bands do not say where they lie.
    """

    pixels: tuple[bytes | memoryview, ...]
    labels: tuple[int, ...] = ()
    fields: Mapping[str, str | int] = field(default_factory=dict)
    # Found while decoding, and no part of what is stored.
    place: Georeference | None = field(default=None, compare=False)
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
            a band lies elsewhere than the JSON, or the first band, says, or does not
            say it where it must.
    """
    bands = [
        read(raw.files[name], band, group.file_dtype, raw.name, name)
        for group in archive.groups
        for band in group.bands
        for name in [archive.band_file(raw.name, band)]
    ]
    pixels = tuple([content for content, _ in bands])
    places = [place for _, place in bands]
    unplaced = places.count(None)
    file = archive.metadata_file(raw.name)
    if archive.metadata is not None and file is not None:
        labels, fields = parse_metadata(
            raw.files[file],
            archive.metadata,
            patch_id=raw.name,
            file=file,
            nomenclature=nomenclature,
        )
        place = find_place(fields)
        shift = check_places(raw.name, archive, places, place, "the JSON says")
        return Patch(pixels, labels, fields, place, shift, unplaced)
    first = next((place for place in places if place is not None), None)
    shift = check_places(raw.name, archive, places, first, "the first band says")
    stored = make_place_fields(raw.name, archive, places) if archive.has_place else {}
    pixels, labels = translate_maps(raw.name, archive, pixels, nomenclature)
    return Patch(pixels, labels, stored, first, shift, unplaced)
