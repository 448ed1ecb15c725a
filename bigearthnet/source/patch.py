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
from bigearthnet.source.geotiff import read_pixels
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
    """

    pixels: tuple[bytes | memoryview, ...]
    labels: tuple[int, ...] = ()
    fields: Mapping[str, str | int] = field(default_factory=dict)

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


@functools.cache
def _little_endian(dtype: str) -> np.dtype[Any]:
    return np.dtype(dtype).newbyteorder("<")


def decode_patch(
    raw: RawPatch,
    archive: Archive,
    nomenclature: Nomenclature,
    read: Callable[[bytes, Band, str, str, str], bytes | memoryview] = read_pixels,
) -> Patch:
    """Decodes and checks every file of a patch.

    Args:
        raw: The patch's files.
        archive: The archive that they are of.
        nomenclature: The vocabulary that the labels must come from.
        read: Reads the pixels of one file; arguments and errors as in `read_pixels`.

    Returns:
        The patch at native resolution.

    Raises:
        PatchError: If a band or the JSON is damaged, or not what the release holds.
    """
    pixels = tuple(
        [
            read(raw.files[name], band, group.dtype, raw.name, name)
            for group in archive.groups
            for band in group.bands
            for name in [archive.band_file(raw.name, band)]
        ]
    )
    file = archive.metadata_file(raw.name)
    if file is None:
        return Patch(pixels)
    labels, fields = parse_metadata(
        raw.files[file], patch_id=raw.name, file=file, nomenclature=nomenclature
    )
    return Patch(pixels, labels, fields)
