"""Files of v2.0 become pixels, labels and places that rasterio agrees with."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from rasterio.io import MemoryFile

from bigearthnet.errors import PatchError
from bigearthnet.release import V2, Archive
from bigearthnet.release.nomenclature import BEN19, CLC43, MAP_CODES
from bigearthnet.source import geotiff, pairing
from bigearthnet.source.georeference import Georeference
from bigearthnet.source.layout import find_layout
from bigearthnet.source.patch import Patch, RawPatch, decode_patch
from builder.source_checks import decode_with_rasterio
from tests.v2.made import CODES, Made, make_files, make_patches, write_tiff

S2, S1, MAPS = V2.archives
(RADAR,), (MAP,) = S1.groups, MAPS.groups
Patches = dict[str, dict[str, bytes]]


@pytest.fixture(scope="module")
def files() -> dict[str, Patches]:
    """Name of each archive → name of each patch → its files."""
    return {
        archive.name: {
            folder.rpartition("/")[2]: contents
            for folder, contents in make_files(archive).items()
        }
        for archive in V2.archives
    }


def decode(
    archive: Archive,
    name: str,
    files: dict[str, bytes],
    decode: Callable[..., Patch] = decode_patch,
) -> Patch:
    """Decodes the files of a patch."""
    return decode(RawPatch(0, name, files), archive, BEN19)


def read_with_rasterio(tiff: bytes) -> npt.NDArray[Any]:
    """The oracle."""
    with MemoryFile(tiff) as memory, memory.open() as dataset:
        return dataset.read(1)


@pytest.mark.parametrize("archive", V2.archives, ids=lambda archive: archive.name)
def test_patches_are_what_was_published(
    archive: Archive, files: dict[str, Patches]
) -> None:
    """Pixels, labels and place of every archive, by both readers."""
    for (name, contents), made in zip(
        files[archive.name].items(), make_patches().values(), strict=True
    ):
        patch = decode(archive, name, contents)
        epsg, west, north = made.place

        for group, pixels in patch.groups(archive).items():
            assert pixels.tobytes() == made.groups[group].tobytes()
        assert (made.labels if archive is MAPS else ()) == patch.labels
        assert {
            "epsg": epsg,
            "coordinates/ulx": west,
            "coordinates/uly": north,
            "coordinates/lrx": west + 1200,
            "coordinates/lry": north - 1200,
        } == patch.fields
        slow = decode(archive, name, contents, decode_with_rasterio)
        assert patch.fields == slow.fields
        assert b"".join(patch.pixels) == b"".join(slow.pixels)


def test_real_radar_is_bit_for_bit(s1_patches: Patches) -> None:
    """VV and VH of six real patches are in this order, and what rasterio reads."""
    for name, contents in s1_patches.items():
        tiffs = [contents[f"{name}_{band}.tif"] for band in ("VV", "VH")]
        pixels = decode(S1, name, contents).groups(S1)["bands_s1"]

        assert all(
            find_layout(
                tiff[: geotiff._FLOAT_STRUCTURE_NBYTES], len(tiff), 120, "float32"
            )
            for tiff in tiffs
        )
        expected = np.stack([read_with_rasterio(tiff) for tiff in tiffs])
        assert expected.tobytes() == pixels.tobytes()
        assert len(np.unique(pixels)) > 28_000
        assert pixels[0].mean() > pixels[1].mean()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda p: np.where(p == p.max(), np.nan, p), "expected finite values"),
        (lambda p: np.where(p == p.max(), -np.inf, p), "expected finite values"),
        (np.trunc, "got whole numbers alone: they were truncated"),
        (np.zeros_like, "got whole numbers alone"),
    ],
)
def test_radar_that_was_not_measured_is_refused(
    change: Callable[[Any], Any], reason: str, files: dict[str, Patches]
) -> None:
    """NaN, infinite and truncated values name patch, file and reason."""
    name, contents = next(iter(files["s1"].items()))
    made = next(iter(make_patches().values()))
    image = change(made.groups["bands_s1"][1]).astype("<f4")
    wrong = contents | {f"{name}_VH.tif": write_tiff(image, RADAR, made.place)}

    with pytest.raises(PatchError, match=rf"{name}/{name}_VH\.tif: VH: .*{reason}"):
        decode(S1, name, wrong)


def test_radar_of_integers_is_refused(files: dict[str, Patches]) -> None:
    """A band of another type is an error that names both types."""
    name, contents = next(iter(files["s1"].items()))
    made = next(iter(make_patches().values()))
    image = made.groups["bands_s1"][0].astype("<i2")
    wrong = contents | {f"{name}_VV.tif": write_tiff(image, RADAR, made.place)}

    with pytest.raises(PatchError, match=r"expected one float32 band .* int16"):
        decode(S1, name, wrong)


def first_map(files: dict[str, Patches]) -> tuple[str, str, bytes, Made]:
    """Name of the first patch, of its map, the map, and what it is made of."""
    name, contents = next(iter(files["maps"].items()))
    ((file, tiff),) = contents.items()
    return name, file, tiff, next(iter(make_patches().values()))


def test_maps_are_ids_of_clc43(files: dict[str, Patches]) -> None:
    """Each of the 44 codes and 999 has its id; the fast path takes compressed maps."""
    name, file, tiff, made = first_map(files)
    image = np.resize([stored for _, stored in MAP_CODES], (120, 120))
    tiff = write_tiff(image.astype(np.uint8), MAP, made.place)
    patch = decode(MAPS, name, {file: tiff})
    codes = read_with_rasterio(tiff)
    found = patch.groups(MAPS)["reference_map"][0]

    assert find_layout(tiff, len(tiff), 120, "uint16") is not None
    assert {CODES[i]: i for i in np.unique(found)} == dict(MAP_CODES)
    assert all(CODES[i] == c for i, c in zip(found.flat, codes.flat, strict=True))
    assert {335: 43, 999: 255, 111: 0, 523: 42}.items() <= dict(MAP_CODES).items()
    assert tuple(range(19)) == patch.labels
    assert "Sea and ocean" == CLC43.labels[42]


@pytest.mark.parametrize("code", [0, 1, 110, 336, 998, 65_535])
def test_other_codes_are_refused(
    code: int, files: dict[str, Patches], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A code that is not in the list is named; none becomes a class."""
    name, file, _, made = first_map(files)
    monkeypatch.setitem(CODES, 7, code)
    image = np.full((120, 120), 7, np.uint8)

    with pytest.raises(PatchError, match=rf"{file}: expected codes .* got {code}\."):
        decode(MAPS, name, {file: write_tiff(image, MAP, made.place)})


def find_strip(tiff: bytes) -> tuple[int, int]:
    """Begin and end of the first strip of a compressed map."""
    layout = find_layout(tiff, len(tiff), 120, "uint16")
    assert layout is not None
    start, nbytes, _ = layout.strips[0]
    return start, start + nbytes


@pytest.mark.parametrize(
    "strip",
    [
        b"no zlib",
        zlib.compress(bytes(34 * 240 - 2)),
        zlib.compress(bytes(34 * 240 + 2)),
        zlib.compress(bytes(10**7)),
        zlib.compress(bytes(34 * 240))[:-1],
        zlib.compress(bytes(34 * 240))[:-4] + b"\1\2\3\4",
    ],
    ids=["not compressed", "short", "long", "a bomb", "cut", "another checksum"],
)
def test_damaged_strips_are_refused(strip: bytes, files: dict[str, Patches]) -> None:
    """Nothing but the pixels that a strip must have is taken of it."""
    name, file, tiff, _ = first_map(files)
    start, end = find_strip(tiff)
    # The strip lies at the end, where a longer one has room.
    wrong = bytearray(tiff + strip)
    for position in range(8, 300):
        if wrong[position : position + 4] == start.to_bytes(4, "little"):
            wrong[position : position + 4] = len(tiff).to_bytes(4, "little")
        if wrong[position : position + 4] == (end - start).to_bytes(4, "little"):
            wrong[position : position + 4] = len(strip).to_bytes(4, "little")

    with pytest.raises(PatchError, match=f"{name}/{file}: "):
        decode(MAPS, name, {file: bytes(wrong)})


@pytest.mark.parametrize("archive", V2.archives, ids=lambda archive: archive.name)
def test_a_band_must_say_where_it_lies(
    archive: Archive, files: dict[str, Patches]
) -> None:
    """A band without a place, or at no whole metre, is named: nothing is guessed."""
    name, contents = next(iter(files[archive.name].items()))
    epsg, west, north = (made := next(iter(make_patches().values()))).place
    group = archive.groups[0]
    file = archive.band_file(name, group.bands[0])
    for place in (None, (epsg, west + 0.5, north)):
        wrong = write_tiff(made.groups[group.name][0], group, place)
        with pytest.raises(PatchError, match=f"{file}: expected a georeferenced band"):
            decode(archive, name, contents | {file: wrong})


def test_pairs_must_agree(files: dict[str, Patches]) -> None:
    """A map of other labels is refused, and a patch a pixel away or of another zone."""
    name, file, tiff, made = first_map(files)
    patch = decode(MAPS, name, {file: tiff})
    labels = sum(1 << number for number in made.labels)
    place = patch.place
    assert place is not None
    near = Georeference(place.epsg, *(value + 9.5 for value in place[1:]))
    far = Georeference(place.epsg, *(value + 10 for value in place[1:]))
    other = place._replace(epsg=32601)

    assert patch is pairing.check_pair(name, patch, MAPS, labels, place, "")
    assert patch is pairing.check_pair(name, patch, MAPS, None, None, "")
    assert 9.5 == pairing.check_pair(name, patch, MAPS, labels, near, "").shift_m
    with pytest.raises(PatchError, match=f"{file}: the map makes other labels"):
        pairing.check_pair(name, patch, MAPS, labels ^ 1, place, "")
    for wrong in (far, other):
        with pytest.raises(PatchError, match=f"{file}: the band lies elsewhere than"):
            pairing.check_pair(name, patch, MAPS, labels, wrong, "")
