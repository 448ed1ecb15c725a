from __future__ import annotations

import json
from typing import Any

import pytest

from bigearthnet.errors import PatchError
from bigearthnet.release import V1
from bigearthnet.release.bands import BY_NAME
from bigearthnet.release.nomenclature import BEN19, CLC43, Nomenclature
from bigearthnet.release.v1 import S2_KEYS
from bigearthnet.source.metadata import TWIN, parse_metadata

Patches = dict[str, dict[str, bytes]]
# Labels and fields.
Metadata = tuple[tuple[int, ...], dict[str, str | int]]

ARCHIVE = V1.archive("s2")

PATCH_ID = "S2A_MSIL2A_20170613T101031_0_45"
FILE = f"{PATCH_ID}_labels_metadata.json"
GOOD: dict[str, Any] = {
    "labels": ["Water bodies", "Pastures"],
    "coordinates": {"ulx": 300001, "uly": 6200002, "lrx": 301203, "lry": 6198804},
    "projection": 'PROJCS["x",AUTHORITY["EPSG","32634"]]',
    "tile_source": "S2A_MSIL1C_20170613.SAFE",
    "acquisition_date": "2017-06-13 10:10:31",
}


def parse(
    content: bytes,
    patch_id: str = PATCH_ID,
    file: str = FILE,
    nomenclature: Nomenclature = CLC43,
) -> Metadata:
    """Parses a JSON, that of PATCH_ID if not said otherwise."""
    return parse_metadata(
        content, S2_KEYS, patch_id=patch_id, file=file, nomenclature=nomenclature
    )


def changed(**changes: object) -> bytes:
    """A good JSON with some values replaced."""
    return json.dumps(GOOD | changes).encode()


def moved(**changes: object) -> bytes:
    """A good JSON with some coordinates replaced."""
    return changed(coordinates=GOOD["coordinates"] | changes)


def without(key: str) -> bytes:
    """A good JSON that lacks a key."""
    return json.dumps({k: v for k, v in GOOD.items() if k != key}).encode()


def test_metadata_of_real_patches_equals_their_json(sample_patches: Patches) -> None:
    """Each field of the real JSON files is kept as it stands there."""
    assert 6 == len(sample_patches)
    for patch_id, files in sample_patches.items():
        file = f"{patch_id}_labels_metadata.json"
        raw = json.loads(files[file])
        labels, fields = parse(files[file], patch_id, file)

        assert set(raw["labels"]) == set(CLC43.decode(labels))
        assert sorted(labels) == list(labels)
        assert ["ulx", "uly", "lrx", "lry"] == list(raw["coordinates"])
        assert {
            **{f"coordinates/{name}": v for name, v in raw["coordinates"].items()},
            "projection": raw["projection"],
            "epsg": fields["epsg"],
            "tile_source": raw["tile_source"],
            "acquisition_date": raw["acquisition_date"],
        } == fields


def test_metadata_of_real_radar_equals_its_json(s1_patches: Patches) -> None:
    """Its own keys become the fields of the release, and the patch that it names."""
    keys = V1.archive("s1").metadata
    for name, files in s1_patches.items():
        file = f"{name}_labels_metadata.json"
        raw = json.loads(files[file])
        options = {"patch_id": name, "file": file, "nomenclature": CLC43}
        labels, fields = parse_metadata(files[file], keys, **options)
        corners, values = ("ulx", "uly", "lrx", "lry"), raw["coordinates"].values()
        place = dict(zip(corners, values, strict=True))

        assert set(raw["labels"]) == set(CLC43.decode(labels))
        assert {
            **{f"coordinates/{key}": value for key, value in place.items()},
            "projection": raw["projection"],
            "epsg": fields["epsg"],
            "scene_source": raw["scene_source"],
            "s1_acquisition_date": raw["acquisition_time"].replace("T", " "),
            TWIN: raw["corresponding_s2_patch"],
        } == fields
        with pytest.raises(PatchError, match=r"missing key 'coordinates\.lry'"):
            parse_metadata(files[file], S2_KEYS, **options)


def test_epsg_of_real_patches_equals_rasterio(sample_patches: Patches) -> None:
    """The EPSG code of the JSON's projection is that of the GeoTIFFs."""
    from rasterio.io import MemoryFile

    for patch_id, files in sample_patches.items():
        file = f"{patch_id}_labels_metadata.json"
        _, fields = parse(files[file], patch_id, file)
        tiff = files[ARCHIVE.band_file(patch_id, BY_NAME["B01"])]
        with MemoryFile(tiff) as memory, memory.open() as dataset:
            assert dataset.crs.to_epsg() == fields["epsg"]


def test_coordinates_keep_their_names() -> None:
    """Each coordinate is found by name, whatever their order in the JSON."""
    reverse = dict(reversed(GOOD["coordinates"].items()))

    _, fields = parse(changed(coordinates=reverse))

    assert [
        ("coordinates/ulx", 300001),
        ("coordinates/uly", 6200002),
        ("coordinates/lrx", 301203),
        ("coordinates/lry", 6198804),
    ] == list(fields.items())[:4]


def test_whole_metres_may_be_written_as_floats() -> None:
    """A coordinate such as 300060.0 is read as the whole number it is."""
    _, fields = parse(moved(ulx=300060.0))

    assert 300060 == fields["coordinates/ulx"]
    assert isinstance(fields["coordinates/ulx"], int)


def test_a_tile_source_of_another_time_is_kept() -> None:
    """The product's name may differ from the patch's, and is not corrected."""
    source = "S2A_MSIL1C_20170701T999999_N0205_R022_T33UUP_20170613T101608.SAFE"

    assert source == parse(changed(tile_source=source))[1]["tile_source"]


def test_a_byte_order_mark_does_no_harm() -> None:
    """What some editors put before a JSON is passed over, as `json` does."""
    content = b"\xef\xbb\xbf" + changed()

    assert GOOD == json.loads(content)
    assert parse(changed()) == parse(content)


def test_unknown_keys_do_no_harm() -> None:
    """A JSON that says more than is stored gives the same metadata."""
    assert parse(changed()) == parse(changed(extra=[1]))


# JSON, what the message must show.
DAMAGES = {
    "not JSON": (b'{"labels": [', "broken JSON"),
    "empty": (b"", "broken JSON"),
    "not UTF-8": (b'{"labels": "\xff"}', "broken JSON"),
    "nested too deep": (b"[" * 200_000, "broken JSON"),
    "too long a number": (b'{"a": ' + b"1" * 5000 + b"}", "broken JSON"),
    "a list": (b"[1, 2]", "expected an object, got list"),
    "null": (b"null", "expected an object, got NoneType"),
    **{f"no {key}": (without(key), f"missing key '{key}'") for key in GOOD},
    "no ulx": (changed(coordinates={"uly": 1}), "missing key 'coordinates.ulx'"),
    "no labels in it": (changed(labels=[]), "at least one label, got an empty list"),
    "text for labels": (changed(labels="Pastures"), "list of names, got 'Pastures'"),
    "unknown label": (changed(labels=["Pasture"]), "got 'Pasture'"),
    "label of 19": (changed(labels=["Arable land"]), "got 'Arable land'"),
    "label twice": (changed(labels=["Pastures"] * 2), "comes twice"),
    "label a number": (changed(labels=[17]), "got 17"),
    "label an object": (changed(labels=[{"a": 1}]), "got {'a': 1}"),
    "label a surrogate": (changed(labels=["\ud800"]), r"got '\ud800'"),
    "list for coordinates": (changed(coordinates=[1]), "an object, got '[1]'"),
    "NaN": (moved(ulx=float("nan")), "NaN is no JSON"),
    "infinity": (moved(uly=float("inf")), "Infinity is no JSON"),
    "minus infinity elsewhere": (changed(extra=[-float("inf")]), "-Infinity is no"),
    "infinity in digits": (
        changed().replace(b"300001", b"1e999"),
        "coordinates.ulx: expected whole metres, got 'inf'",
    ),
    "very many digits": (
        changed().replace(b"300001", b"9" * 4000),
        "coordinates.ulx: expected whole metres, got '999",
    ),
    "key twice": (
        changed().replace(b'{"labels"', b'{"labels": ["Pastures"], "labels"'),
        "broken JSON: a key comes twice in ['acquisition_date'",
    ),
    "coordinate twice": (
        changed().replace(b'"lrx"', b'"ulx"'),
        "broken JSON: a key comes twice in ['lry', 'ulx', 'uly']",
    ),
    "the lly of S1": (
        changed().replace(b'"lry"', b'"lly"'),
        "missing key 'coordinates.lry'; there are ['lly', 'lrx', 'ulx', 'uly']",
    ),
    "two byte order marks": (
        b"\xef\xbb\xbf" * 2 + changed(),
        "broken JSON: Expecting value",
    ),
    "UTF-16": (changed().decode().encode("utf-16"), "broken JSON: 'utf-8' codec"),
    "a surrogate in UTF-8": (
        changed(extra="\xff").replace(b"\\u00ff", b"\xed\xa0\x80"),
        "'utf-8' codec",
    ),
    "megabytes": (changed(extra="x" * 2**20), "bytes: expected up to 262144"),
    "text behind": (changed() + b"{}", "broken JSON: Extra data"),
    "very many keys": (
        json.dumps({f"key{i}": i for i in range(10_000)}).encode(),
        "missing key 'labels'",
    ),
    "deep labels": (b'{"labels": ' + b"[" * 900 + b"]" * 900 + b"}", "labels: "),
    "deep coordinates": (
        changed().replace(b"300001", b"[" * 900 + b"]" * 900),
        "coordinates.ulx: expected whole metres, got '[",
    ),
    "deep text": (
        changed(projection=None).replace(b"null", b'{"a":' * 900 + b"1" + b"}" * 900),
        "projection: expected text",
    ),
    "too many labels": (changed(labels=["Pastures"] * 44), "expected up to 43, got 44"),
    "too long a label": (changed(labels=["Pastures" * 1000]), "got 'Pastures"),
    "null for a label": (changed(labels=[None]), "labels: expected names, got None"),
    "EPSG with a zero": (
        changed(projection='PROJCS["x",AUTHORITY["EPSG","03263"]]'),
        "projection: expected WKT that ends in",
    ),
    "half a metre": (moved(lrx=0.5), "whole metres, got '0.5'"),
    "text for metres": (moved(lry="12"), "coordinates.lry: expected whole metres"),
    "bool for metres": (moved(ulx=True), "whole metres, got 'True'"),
    "null for metres": (moved(ulx=None), "whole metres, got 'None'"),
    "64 bits too few": (moved(ulx=2**63), "got '9223372036854775808'"),
    "float too large": (moved(ulx=1e300), "whole metres, got '1000"),
    "no projection in it": (changed(projection=""), "projection: expected text"),
    "number for projection": (changed(projection=32634), "got '32634'"),
    "projection without EPSG": (changed(projection='GEOGCS["x"]'), """'GEOGCS["x"]'"""),
    "EPSG of a part alone": (
        changed(projection='PROJCS["x",UNIT["m",AUTHORITY["EPSG","9001"]],AXIS["E"]]'),
        "projection: expected WKT that ends in",
    ),
    "too long a projection": (
        changed(projection="x" * 10_001 + GOOD["projection"]),
        "projection: expected text of up to 10000 characters",
    ),
    "too long a source": (changed(tile_source="x" * 10_001), "tile_source: expected"),
    "null for source": (changed(tile_source=None), "tile_source: expected text"),
    "surrogate in source": (
        changed(tile_source="a\ud800"),
        r"tile_source: expected Unicode text, got 'a\ud800'",
    ),
    "month 13": (changed(acquisition_date="2017-13-01 10:10:31"), "'2017-13-01 10"),
    "day alone": (changed(acquisition_date="2017-06-13"), "got '2017-06-13'"),
    "the T of S1": (changed(acquisition_date="2017-06-13T10:10:31"), "13T10:10:31'"),
    "hour 25": (changed(acquisition_date="2017-06-13 25:10:31"), "13 25:10:31'"),
    "number for date": (changed(acquisition_date=20170613), "got '20170613'"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_metadata_is_a_patch_error(damage: str) -> None:
    """Whatever is wrong with the JSON, one error names patch, file and bad value."""
    content, shown = DAMAGES[damage]

    with pytest.raises(PatchError) as caught:
        parse(content)

    assert (PATCH_ID, FILE) == (caught.value.patch_id, caught.value.file)
    assert str(caught.value).startswith(f"{PATCH_ID}/{FILE}: ")
    assert shown in str(caught.value)
    assert len(str(caught.value)) < 500


def test_labels_are_of_the_given_nomenclature() -> None:
    """The vocabulary of the labels is an argument: other releases have another one."""
    content = changed(labels=["Marine waters", "Arable land"])

    labels, _ = parse(content, nomenclature=BEN19)

    assert (2, 18) == labels
