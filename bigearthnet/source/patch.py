"""What one patch is: its id, its files, its pixels; no I/O."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bigearthnet.errors import PatchError
from bigearthnet.release.bands import BANDS, BY_NAME, GROUPS
from bigearthnet.release.nomenclature import CLC43, Nomenclature
from bigearthnet.source.geotiff import read_pixels
from bigearthnet.source.metadata import PatchMetadata, parse_metadata

# `S2B_MSIL2A_20170924T93020_69_24`: 22 name prefixes of the archive have a time of
# five digits, some of an impossible one (`T94161`), so it is kept as text.
_PATCH_ID = re.compile(r"(S2[AB])_MSIL2A_(\d{8})T(\d{5,6})_(\d{1,3})_(\d{1,3})", re.A)


@dataclass(frozen=True)
class PatchId:
    """The parts of a patch id.

    Attributes:
        satellite: `S2A` or `S2B`.
        date: Day of acquisition (UTC); always right.
        time: Time as it stands in the name, 5 or 6 digits. It may be impossible, and
            may differ from the sensing time; the JSON's `acquisition_date` is the one
            to trust.
        column: Horizontal order of the patch in its tile (first number).
        row: Vertical order of the patch in its tile (second number).
    """

    satellite: str
    date: datetime.date
    time: str
    column: int
    row: int

    @classmethod
    def parse(cls, text: str) -> PatchId:
        """Parses `S2{A,B}_MSIL2A_<YYYYMMDD>T<HHMMSS>_<column>_<row>`.

        Raises:
            PatchError: If the text is not a patch id; the message shows the text.
        """
        match = _PATCH_ID.fullmatch(text)
        try:
            if match is None:
                raise ValueError
            satellite, day, time, column, row = match.groups()
            date = datetime.datetime.strptime(day, "%Y%m%d").date()
        except ValueError:
            raise PatchError(
                "not a patch id: expected S2A or S2B, _MSIL2A_<YYYYMMDD>T<HHMMSS>_"
                f"<column>_<row>, got {text!r}.",
                patch_id=text,
            ) from None
        return cls(satellite, date, time, int(column), int(row))


@dataclass(frozen=True)
class RawPatch:
    """The files of one complete patch, as they stand in the source.

    Attributes:
        row: Row of the patch in the release's table.
        patch_id: The patch id.
        files: File name → content: 12 bands and the JSON, in the source's order.
        offset: Where its first file's header stands in the decompressed source, in
            bytes; None in a folder.
    """

    row: int
    patch_id: str
    files: Mapping[str, bytes]
    offset: int | None = None


def _lay_out() -> list[tuple[str, int, int, tuple[int, int, int]]]:
    """Returns name, first and last pixel, and shape of each group of a patch."""
    layout, start = [], 0
    for group in GROUPS:
        end = start + group.nbytes // 2
        layout.append((group.name, start, end, group.shape))
        start = end
    return layout


_LAYOUT = _lay_out()

_STORED_ORDER = [band.name for group in GROUPS for band in group.bands]


@dataclass(frozen=True)
class Patch:
    """One patch, ready to be stored.

    Attributes:
        patch_id: The patch id as text.
        metadata: The content of its JSON.
        pixels: Pieces that make up the digital numbers of all bands, little-endian
            uint16, 160,000 bytes: the groups of `bands.GROUPS` one after another, each
            (band, y, x).
    """

    patch_id: str
    metadata: PatchMetadata
    pixels: tuple[bytes | memoryview, ...]

    def flat(self) -> npt.NDArray[np.uint16]:
        """Returns all pixels as they are stored: read-only, shape (pixel,), uint16."""
        pieces = self.pixels
        return np.frombuffer(pieces[0] if len(pieces) == 1 else b"".join(pieces), "<u2")

    def groups(self) -> dict[str, npt.NDArray[np.uint16]]:
        """Returns group name → read-only array of shape (band, y, x), uint16."""
        flat = self.flat()
        return {
            name: flat[start:end].reshape(shape) for name, start, end, shape in _LAYOUT
        }


def band_file(patch_id: str, band: str) -> str:
    """Name of the file that holds a band of a patch."""
    return f"{patch_id}_{band}.tif"


def metadata_file(patch_id: str) -> str:
    """Name of the file that holds the metadata of a patch."""
    return f"{patch_id}_labels_metadata.json"


def file_names(patch_id: str) -> tuple[str, ...]:
    """Names of the 13 files of a patch: its bands and its JSON."""
    return (*(band_file(patch_id, b.name) for b in BANDS), metadata_file(patch_id))


def decode_patch(raw: RawPatch, nomenclature: Nomenclature = CLC43) -> Patch:
    """Decodes and checks every file of a patch.

    Args:
        raw: The patch's files.
        nomenclature: The vocabulary that the labels must come from.

    Returns:
        The patch at native resolution.

    Raises:
        PatchError: If a band or the JSON is damaged, or not what the release holds.
    """
    file = metadata_file(raw.patch_id)
    metadata = parse_metadata(
        raw.files[file], patch_id=raw.patch_id, file=file, nomenclature=nomenclature
    )
    pixels = tuple(
        [
            read_pixels(
                raw.files[name := band_file(raw.patch_id, band)],
                BY_NAME[band],
                patch_id=raw.patch_id,
                file=name,
            )
            for band in _STORED_ORDER
        ]
    )
    return Patch(raw.patch_id, metadata, pixels)
