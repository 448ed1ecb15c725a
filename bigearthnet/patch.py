"""What one patch is: its id, its metadata and its pixels; validation, no I/O."""

from __future__ import annotations

import datetime
import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bigearthnet.bands import BANDS, BY_NAME, GROUPS
from bigearthnet.errors import LabelError, PatchError
from bigearthnet.geotiff import read_pixels
from bigearthnet.nomenclature import CLC43, Nomenclature

# `S2B_MSIL2A_20170924T93020_69_24`: 22 name prefixes of the archive have a time of
# five digits, some of an impossible one (`T94161`), so it is kept as text.
_PATCH_ID = re.compile(r"(S2[AB])_MSIL2A_(\d{8})T(\d{5,6})_(\d{1,3})_(\d{1,3})", re.A)

_ACQUISITION_DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.A)

# Code of the whole projected system: the last authority of the WKT.
_EPSG = re.compile(r'AUTHORITY\["EPSG","(\d{4,5})"\]\]\s*\Z', re.A)

# Longest text of a JSON that is stored, in characters; the WKT has about 700.
_MAX_TEXT = 10_000

_COORDINATES = ("ulx", "uly", "lrx", "lry")


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
    """

    row: int
    patch_id: str
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class PatchMetadata:
    """The content of a patch's JSON.

    Attributes:
        labels: Ascending class ids of the release's nomenclature; never empty.
        coordinates: (ulx, uly, lrx, lry) of the patch in metres of its UTM zone.
        projection: Coordinate reference system as WKT.
        epsg: EPSG code of the projection, for example 32633 (UTM zone 33N).
        tile_source: Name of the Level-1C product.
        acquisition_date: Sensing time, `YYYY-MM-DD HH:MM:SS` (UTC).
    """

    labels: tuple[int, ...]
    coordinates: tuple[int, int, int, int]
    projection: str
    epsg: int
    tile_source: str
    acquisition_date: str


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


def parse_metadata(
    content: bytes, *, patch_id: str, file: str, nomenclature: Nomenclature = CLC43
) -> PatchMetadata:
    """Parses and checks the JSON of a patch.

    Args:
        content: Bytes of `<patch id>_labels_metadata.json`.
        patch_id: The patch, for error messages.
        file: The file's name, for error messages.
        nomenclature: The vocabulary that the labels must come from.

    Returns:
        The metadata, every field checked for type and form.

    Raises:
        PatchError: If the JSON is broken, a key is missing or of the wrong type or
            form, or a label is unknown or missing.

    Source: format of `BigEarthNet-S2-v1.0.tar.gz` (bigearth.net, manual of v1.0).
    """

    def error(problem: str) -> PatchError:
        return PatchError(problem, patch_id=patch_id, file=file)

    try:
        raw = json.loads(content)
    except (ValueError, RecursionError) as cause:
        raise error(
            f"broken JSON: {_shorten(cause)}. The archive is damaged."
        ) from None
    if not isinstance(raw, dict):
        raise error(f"wrong JSON: expected an object, got {type(raw).__name__}.")
    try:
        labels = _parse_labels(raw["labels"], nomenclature)
        coordinates = _parse_coordinates(raw["coordinates"])
        projection = _parse_text(raw["projection"], "projection")
        return PatchMetadata(
            labels=labels,
            coordinates=coordinates,
            projection=projection,
            epsg=_parse_epsg(projection),
            tile_source=_parse_text(raw["tile_source"], "tile_source"),
            acquisition_date=_parse_acquisition_date(raw["acquisition_date"]),
        )
    except KeyError as cause:
        raise error(f"missing key {cause}; the JSON has {sorted(raw)}.") from None
    except ValueError as cause:
        raise error(str(cause)) from None


def _shorten(value: object) -> str:
    text = str(value)
    return text if len(text) <= 120 else text[:117] + "..."


def _parse_labels(value: object, nomenclature: Nomenclature) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise ValueError(f"labels: expected a list of names, got {_shorten(value)!r}.")
    if not value:
        raise LabelError("labels: expected at least one label, got an empty list.")
    return nomenclature.encode(value)


def _parse_coordinates(value: object) -> tuple[int, int, int, int]:
    if not isinstance(value, dict):
        raise ValueError(f"coordinates: expected an object, got {_shorten(value)!r}.")
    numbers = []
    for key in _COORDINATES:
        number = value[key]
        if isinstance(number, float) and number.is_integer():
            number = int(number)
        if type(number) is not int or abs(number) >= 2**63:
            raise ValueError(
                f"coordinates.{key}: expected whole metres, got {_shorten(number)!r}."
            )
        numbers.append(number)
    ulx, uly, lrx, lry = numbers
    return ulx, uly, lrx, lry


def _parse_text(value: object, key: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TEXT:
        raise ValueError(
            f"{key}: expected text of up to {_MAX_TEXT} characters, got "
            f"{_shorten(value)!r}."
        )
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"{key}: expected Unicode text, got {value!a:.80}.") from None
    return value


@functools.lru_cache(maxsize=1024)
def _parse_epsg(projection: str) -> int:
    match = _EPSG.search(projection)
    if match is None:
        raise ValueError(
            'projection: expected WKT that ends in AUTHORITY["EPSG","<code>"]], got '
            f"{_shorten(projection)!r}."
        )
    return int(match.group(1))


def _parse_acquisition_date(value: object) -> str:
    text = _parse_text(value, "acquisition_date")
    try:
        if _ACQUISITION_DATE.fullmatch(text) is None:
            raise ValueError
        datetime.datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"acquisition_date: expected YYYY-MM-DD HH:MM:SS, got {_shorten(text)!r}."
        ) from None
    return text
