"""Every target on its seeds, and what fuzzing found: inputs that were read wrongly."""

from __future__ import annotations

import struct
import tarfile
from types import ModuleType

import numpy as np
import pytest

from benchmarks.fuzzing import Finding, metadata, patch_id, tar, tiff
from benchmarks.fuzzing.__main__ import TARGETS
from bigearthnet.release.bands import BY_NAME
from bigearthnet.release.patch_ids import PatchId
from bigearthnet.source import geotiff

MODULES = {"tar": tar, "tiff": tiff, "metadata": metadata, "patch_id": patch_id}


def test_every_target_has_a_module() -> None:
    """The command's targets are the modules with a check and seeds."""
    assert set(TARGETS) == set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_seeds_are_accepted_and_agree_with_the_oracle(name: str) -> None:
    """What mutation begins with is valid, so that it reaches behind the first check."""
    module: ModuleType = MODULES[name]

    assert len(module.make_seeds()) > 5
    assert all(module.check(seed) for seed in module.make_seeds())


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("data", [b"", b"\0", b"\xff" * 2000])
def test_nonsense_is_refused(name: str, data: bytes) -> None:
    """Nothing is no patch, no archive and no picture, and no exception either."""
    assert not MODULES[name].check(data)


def test_checksums_are_mended() -> None:
    """After mutation, every header has the right checksum again, no more."""
    archive = tar.make_archive([("p/a", b"x"), ("p/b", b"y" * 600)], tarfile.GNU_FORMAT)
    damaged = bytearray(archive)
    damaged[148:150] = damaged[1684:1686] = b"77"

    assert archive == tar.mend_checksums(bytes(damaged))


def test_a_reader_that_lies_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target fails if its reader accepts what the oracle reads otherwise."""
    honest = PatchId.parse("S2A_MSIL2A_20170613T101031_0_45")
    monkeypatch.setattr(PatchId, "parse", lambda text: honest)

    with pytest.raises(Finding, match=r"place: expected \(0, 46\), got \(0, 45\)"):
        patch_id.check(b"S2A_MSIL2A_20170613T101031_0_46")

    monkeypatch.setattr("bigearthnet.source.tar.parse_name", lambda name: "p/other")
    seeds = [seed for seed in tar.make_seeds() if b"LongLink" in seed]
    with pytest.raises(Finding, match="members: expected"):
        tar.check(seeds[-1])
    pixels = np.zeros((20, 20), np.uint16)
    monkeypatch.setattr(
        "bigearthnet.source.geotiff.decode_band", lambda *_, **__: pixels
    )
    monkeypatch.setattr(tiff, "_asked", set())
    with pytest.raises(Finding, match="pixels: expected"):
        tiff.check(tiff.make_seeds()[0])


def change_header(field: slice, value: bytes) -> bytes:
    """Makes an archive whose second header has another field."""
    archive = bytearray(tar.make_archive([("p/a", b"x")], tarfile.GNU_FORMAT))
    archive[512 + field.start : 512 + field.stop] = value
    return b"\xff" + bytes(archive)


# What coverage-guided runs found, before it was mended.
FINDINGS = {
    # `tarfile` ends in silence at such a header; we read on.
    "group is no number": change_header(slice(116, 124), b"../0000\0"),
    # `tarfile` takes the padding of a long name for a part of it; we did not.
    "long name goes on in its padding": b"\xff"
    + tar.make_archive([("p/" + "a" * 200, b"x")], tarfile.GNU_FORMAT).replace(
        b"a" * 200 + b"\0\0", b"a" * 200 + b"bb"
    ),
    # The first member's folder was not checked where there was none.
    "absolute name without folder": b"\xff"
    + tar.make_archive([("/a", b"x")], tarfile.GNU_FORMAT),
}


def test_a_name_of_a_coordinate_system_is_no_pixel() -> None:
    """Where rasterio stumbles over a text, the pixels are read all the same.

    A coverage-guided run found that it cannot open such a file.
    """
    tiff_file = next(seed for seed in tiff.make_seeds() if b"WGS 84" in seed)
    projected, local = (struct.pack("<4H", 1024, 0, 1, kind) for kind in (1, 4))
    odd = tiff_file.replace(projected, local).replace(b"zone", b"\xdb" * 4)
    expected = geotiff.decode_band(tiff_file, BY_NAME["B01"], "uint16", "P", "F")
    found = geotiff.decode_band(odd, BY_NAME["B01"], "uint16", "P", "F")

    assert tiff._read_with_rasterio(odd) is None
    assert tiff.check(odd)
    assert np.array_equal(expected, found)


@pytest.mark.parametrize("finding", FINDINGS)
def test_what_was_found_is_refused(finding: str) -> None:
    """Inputs that reader and oracle read differently are refused by the reader."""
    assert not tar.check(FINDINGS[finding])
