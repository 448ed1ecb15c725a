"""The JSON of a patch: its labels, and where and when it was taken."""

from __future__ import annotations

import datetime
import functools
import json
import re
import reprlib

from bigearthnet.errors import LabelError, PatchError
from bigearthnet.release import MetadataKeys
from bigearthnet.release.nomenclature import Nomenclature

_TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d", re.A)

# Among the fields of a patch the id that its JSON says: compared, and not stored.
TWIN = "corresponding patch"

# Code of the whole projected system: the last authority of the WKT.
_EPSG = re.compile(r'AUTHORITY\["EPSG","([1-9]\d{3,4})"\]\]\s*\Z', re.A)

# Word in the tile source of patches that `builder.synthesize` made up.
SYNTHETIC = "SYNTHETIC"

# Longest text of a JSON that is stored, in characters; the WKT has about 700.
_MAX_TEXT = 10_000

# Longest label that is looked up, in characters; the longest there is has 86.
_MAX_LABEL = 200

# Largest JSON that is parsed, in bytes; those of the real sample have about 1,000.
_MAX_NBYTES = 2**18


def parse_metadata(
    content: bytes,
    keys: MetadataKeys,
    *,
    patch_id: str,
    file: str,
    nomenclature: Nomenclature,
) -> tuple[tuple[int, ...], dict[str, str | int]]:
    """Parses and checks the JSON of a patch.

    Args:
        content: Bytes of `<patch>_labels_metadata.json`.
        keys: The keys in which archives differ.
        patch_id: The patch, for error messages.
        file: The file's name, for error messages.
        nomenclature: The vocabulary that the labels must come from.

    Returns:
        The labels: ascending class ids of the nomenclature, never empty. The fields,
        each checked for type and form: `coordinates/ulx`, `/uly`, `/lrx` and `/lry` in
        metres of the UTM zone, `projection` (WKT), `epsg` (its EPSG code, for example
        32633), and by the names that `keys` has the product (of Sentinel-2 at Level
        1C) and the sensing time (`YYYY-MM-DD HH:MM:SS`, UTC); and TWIN, if it is said.

    Raises:
        PatchError: If the JSON is broken, gives a key twice or is not UTF-8, a key is
            missing or of the wrong type or form, or a label is unknown or missing.

    Source: format of `BigEarthNet-S2-v1.0.tar.gz` and `BigEarthNet-S1-v1.0.tar.gz`
    (bigearth.net, manuals of v1.0).
    """

    def error(problem: str) -> PatchError:
        return PatchError(problem, patch_id=patch_id, file=file)

    if len(content) > _MAX_NBYTES:
        raise error(f"{len(content)} bytes: expected up to {_MAX_NBYTES}.")
    try:
        # Some editors put a byte order mark first; `json` passes over it, too.
        raw = _DECODER.decode(content.decode("utf-8").removeprefix("\ufeff"))
    except (ValueError, RecursionError) as cause:
        raise error(
            f"broken JSON: {_shorten(cause)}. The archive is damaged."
        ) from None
    if not isinstance(raw, dict):
        raise error(f"wrong JSON: expected an object, got {type(raw).__name__}.")
    try:
        labels = _parse_labels(raw["labels"], nomenclature)
        coordinates = _parse_coordinates(raw["coordinates"], keys.south)
        projection = _parse_text(raw["projection"], "projection")
        return labels, {
            **coordinates,
            "projection": projection,
            "epsg": _parse_epsg(projection),
            keys.product: _parse_text(raw[keys.product], keys.product),
            keys.time_field: _parse_time(raw[keys.time], keys.time, keys.separator),
            **({TWIN: _parse_text(raw[keys.patch], keys.patch)} if keys.patch else {}),
        }
    except KeyError as cause:
        raise error(f"missing key {cause}; the JSON has {_list_keys(raw)}.") from None
    except ValueError as cause:
        raise error(str(cause)) from None


_COORDINATES = ("ulx", "uly", "lrx", "lry")


def _make_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"a key comes twice in {_list_keys(found)}")
    return found


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


# Strict: Python alone takes NaN, Infinity and keys that come twice.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_make_object, parse_constant=_refuse_constant
)


def _shorten(value: object) -> str:
    """Returns a value as text to show; containers are shown in part."""
    is_plain = isinstance(value, str | int | float | BaseException)
    text = str(value) if is_plain else reprlib.repr(value)
    return text if len(text) <= 120 else text[:117] + "..."


def _list_keys(value: dict[str, object]) -> str:
    return _shorten(sorted(value))


def _parse_labels(value: object, nomenclature: Nomenclature) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise ValueError(f"labels: expected a list of names, got {_shorten(value)!r}.")
    if not value:
        raise LabelError("labels: expected at least one label, got an empty list.")
    if len(value) > len(nomenclature):
        raise LabelError(
            f"labels: expected up to {len(nomenclature)}, got {len(value)}; one comes "
            "twice."
        )
    for name in value:
        if not isinstance(name, str) or len(name) > _MAX_LABEL:
            raise LabelError(f"labels: expected names, got {reprlib.repr(name)}.")
    return nomenclature.encode(value)


def _parse_coordinates(value: object, south: str) -> dict[str, int]:
    if not isinstance(value, dict):
        raise ValueError(f"coordinates: expected an object, got {_shorten(value)!r}.")
    numbers = {}
    for key, name in zip(("ulx", "uly", "lrx", south), _COORDINATES, strict=True):
        if key not in value:
            raise ValueError(
                f"missing key 'coordinates.{key}'; there are {_list_keys(value)}."
            )
        number = value[key]
        if isinstance(number, float) and number.is_integer():
            number = int(number)
        if type(number) is not int or abs(number) >= 2**63:
            raise ValueError(
                f"coordinates.{key}: expected whole metres, got {_shorten(number)!r}."
            )
        numbers[f"coordinates/{name}"] = number
    return numbers


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


def _parse_time(value: object, key: str, separator: str) -> str:
    text = _parse_text(value, key)
    try:
        if _TIME.fullmatch(text) is None or text[10] != separator:
            raise ValueError
        datetime.datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{key}: expected YYYY-MM-DD{separator}HH:MM:SS, got {_shorten(text)!r}."
        ) from None
    return text.replace("T", " ")
