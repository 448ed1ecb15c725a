"""Target `metadata`: the reader of a patch's JSON, against `json`."""

from __future__ import annotations

import datetime
import functools
import json
from typing import Any

from benchmarks.fuzzing import Finding, expect_equal
from benchmarks.fuzzing.sample import read_sample
from bigearthnet.errors import PatchError
from bigearthnet.release.nomenclature import CLC43
from bigearthnet.release.v1 import S2_KEYS
from bigearthnet.source.metadata import parse_metadata

TOKENS = [
    *[b'"labels"', b'"coordinates"', b'"projection"', b'"tile_source"', b'"ulx"'],
    *[b'"acquisition_date"', b'"lly"', b"NaN", b"Infinity", b"1e999", b"-0.0", b"null"],
    *[b'"Pastures"', b"\\ud800", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"[[[[", b'{"a":'],
    *[b"9" * 40, b'AUTHORITY[\\"EPSG\\",\\"32633\\"]]', b"2017-06-13 10:10:31"],
]


def check(data: bytes) -> bool:
    """Parses a JSON; returns whether it was accepted.

    Raises:
        Finding: If `json` reads something else in it.
    """
    try:
        labels, fields = parse_metadata(
            data, S2_KEYS, patch_id="P", file="F.json", nomenclature=CLC43
        )
    except PatchError:
        return False
    raw: dict[str, Any] = json.loads(data)
    expect_equal(set(raw["labels"]), set(CLC43.decode(labels)), "labels")
    expect_equal(len(raw["labels"]), len(labels), "number of labels")
    expect_equal(sorted(labels), list(labels), "order of labels")
    for key in ("ulx", "uly", "lrx", "lry"):
        expect_equal(raw["coordinates"][key], fields[f"coordinates/{key}"], key)
    for key in ("projection", "tile_source", "acquisition_date"):
        expect_equal(raw[key], fields[key], key)
        raw[key].encode()
    epsg, taken = fields["epsg"], str(fields["acquisition_date"])
    if not str(fields["projection"]).rstrip().endswith(f'AUTHORITY["EPSG","{epsg}"]]'):
        raise Finding(f"EPSG {epsg} is not the end of the projection")
    date = datetime.datetime.strptime(taken, "%Y-%m-%d %H:%M:%S")
    expect_equal(str(date), taken, "acquisition_date")
    return True


@functools.cache
def make_seeds() -> tuple[bytes, ...]:
    """Returns the real JSON files, and a short one."""
    real = [text for name, text in read_sample().items() if name.endswith(".json")]
    short = {
        "labels": ["Pastures", "Sea and ocean"],
        "coordinates": {"ulx": 1, "uly": -2, "lrx": 3.0, "lry": 4},
        "projection": 'AUTHORITY["EPSG","32633"]]',
        "tile_source": "S2A",
        "acquisition_date": "2017-06-13 10:10:31",
    }
    return (*real, json.dumps(short).encode())
