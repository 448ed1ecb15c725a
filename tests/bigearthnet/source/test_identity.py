from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bigearthnet.errors import ArchiveError
from bigearthnet.release import V1
from bigearthnet.source.identity import identify_source

Patches = dict[str, dict[str, bytes]]
WriteArchive = Callable[..., Path]

ARCHIVE = V1.archive("s2")

MIB = 2**20
# Before the last change of a source, in nanoseconds.
BEFORE = 10**18


def write(path: Path, content: bytes) -> dict[str, Any]:
    """Writes a file at a known time, and identifies it."""
    path.write_bytes(content)
    os.utime(path, ns=(BEFORE, BEFORE))
    return identify_source(path, ARCHIVE)


@pytest.mark.parametrize("nbytes", [0, 1, MIB, MIB + 1, 2 * MIB, 5 * MIB])
def test_a_file_is_known_by_size_time_and_ends(nbytes: int, tmp_path: Path) -> None:
    """The checksum is of the first and the last MiB, whatever the size."""
    content = os.urandom(nbytes)
    found = write(tmp_path / "a", content)

    assert {
        "bytes": nbytes,
        "mtime_ns": BEFORE,
        "ends": hashlib.sha256(content[:MIB] + content[-MIB:]).hexdigest(),
    } == found


@pytest.mark.parametrize("position", [0, MIB - 1, -MIB, -1])
def test_a_change_at_the_ends_shows(position: int, tmp_path: Path) -> None:
    """A changed byte is noticed, though size and time are as before."""
    content = bytearray(os.urandom(4 * MIB))
    before = write(tmp_path / "a", content)
    content[position] ^= 1
    after = write(tmp_path / "a", content)

    assert {"ends"} == {name for name in before if before[name] != after[name]}


def test_a_change_of_size_or_time_shows(tmp_path: Path) -> None:
    """A file that was written again, or has grown in its middle, is another."""
    before = write(tmp_path / "a", bytes(4 * MIB))
    longer = write(tmp_path / "a", bytes(4 * MIB + 1))
    write(tmp_path / "a", bytes(4 * MIB))
    os.utime(tmp_path / "a", ns=(BEFORE, BEFORE + 1))
    later = identify_source(tmp_path / "a", ARCHIVE)

    assert {**before, "bytes": 4 * MIB + 1} == longer
    assert {**before, "mtime_ns": BEFORE + 1} == later


def test_a_folder_is_known_by_its_names(
    fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """A folder and its parent are the same source; another patch makes another."""
    parent = write_archive(tmp_path, fake_patches, kind="folder")
    root = parent / "BigEarthNet-v1.0"
    os.utime(root, ns=(BEFORE, BEFORE))
    before = identify_source(root, ARCHIVE)
    names = "\0".join(sorted(fake_patches)).encode()

    assert before == identify_source(parent, ARCHIVE)
    assert {
        "entries": 6,
        "mtime_ns": BEFORE,
        "names": hashlib.sha256(names).hexdigest(),
    } == before

    one = root / next(iter(fake_patches))
    one.rename(root / "S2A_MSIL2A_20170613T101031_0_46")
    os.utime(root, ns=(BEFORE, BEFORE))
    after = identify_source(root, ARCHIVE)

    assert {"names"} == {name for name in before if before[name] != after[name]}


def test_a_folder_in_which_something_came_or_went_is_another(
    fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """A patch that was extracted later shows in the number and the time."""
    parent = write_archive(tmp_path, fake_patches, kind="folder")
    root = parent / "BigEarthNet-v1.0"
    os.utime(root, ns=(BEFORE, BEFORE))
    before = identify_source(root, ARCHIVE)
    (root / "S2A_MSIL2A_20170613T101031_0_46").mkdir()

    assert 7 == identify_source(root, ARCHIVE)["entries"]
    assert BEFORE != identify_source(root, ARCHIVE)["mtime_ns"]

    (root / "S2A_MSIL2A_20170613T101031_0_46").rmdir()
    os.utime(root, ns=(BEFORE, BEFORE))

    assert before == identify_source(root, ARCHIVE)


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()])
def test_without_patches_there_is_no_source(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    """A path without a file or a folder of patches is an error that shows it."""
    make(tmp_path / "source")

    with pytest.raises(ArchiveError, match=f"{tmp_path / 'source'}"):
        identify_source(tmp_path / "source", ARCHIVE)


def test_a_source_that_cannot_be_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the system says of a file is part of our error."""

    def fail(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a").touch()
    monkeypatch.setattr(Path, "open", fail)

    with pytest.raises(ArchiveError, match=r"cannot read .*a: .*Permission denied"):
        identify_source(tmp_path / "a", ARCHIVE)
