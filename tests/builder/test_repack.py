from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import builder.repack
from bigearthnet.engine.job import JobSource
from bigearthnet.errors import ArchiveError, ChecksumError, OptionError
from bigearthnet.release import V1, Digest
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.source.parts import list_parts, open_part
from builder.repack import repack

ARCHIVE = V1.archive("s2")

Patches = dict[str, dict[str, bytes]]
WriteArchive = Callable[..., Path]


def test_a_single_frame_becomes_parts(
    fake_patches: Patches,
    write_archive: WriteArchive,
    patch_index: PatchIndex,
    tmp_path: Path,
) -> None:
    """Each part is an archive of whole patches; together they are what it held."""
    path = write_archive(tmp_path, fake_patches, kind="tar.zst")
    output = tmp_path / "parts"
    run = [sys.executable, "-m", "builder.repack", f"--source={path}"]
    run += ["--patches=4", f"--output={output}"]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    paths = sorted(output.iterdir())
    found = {}
    for part in list_parts(paths, ARCHIVE, patch_index):
        with open_part(part, patch_index) as source:
            found.update({raw.name: raw.files for raw in source.patches(patch_index)})

    assert f"{output}: 2 parts" in done.stdout
    command = f"builder.build --config=s2 --source={output} --data_dir=data"
    assert command in done.stdout
    assert ["s2-00000-of-00002.tar.zst", "s2-00001-of-00002.tar.zst"] == [
        path.name for path in paths
    ]
    assert fake_patches == found
    assert {path, output} == set(tmp_path.iterdir())


@pytest.mark.parametrize("size", [2, 100])
def test_another_archive_is_not_cut(
    size: int,
    s1_patches: Patches,
    write_archive: WriteArchive,
    patch_index: PatchIndex,
    tmp_path: Path,
) -> None:
    """Its parts would have the names of the one that was asked for."""
    path = write_archive(tmp_path, s1_patches, kind="tar.zst")

    message = r"no patch of the archive s2: .* got S1A_\S+\. This is Sentinel-1"
    with pytest.raises(ArchiveError, match=message):
        repack(
            JobSource(ARCHIVE, path), tmp_path / "parts", patch_index, size, quiet=True
        )
    assert [] == list(tmp_path.glob("parts*"))


@pytest.mark.parametrize("problem", ["truncated", "another", "disk", "there", "size"])
def test_nothing_is_left_of_what_fails(
    problem: str,
    fake_patches: Patches,
    write_archive: WriteArchive,
    patch_index: PatchIndex,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Damage, another file, what is read back otherwise: one error, no parts."""
    path = write_archive(tmp_path, fake_patches, kind="tar.zst")
    output, size, digest = tmp_path / "parts", 4, None
    expected: tuple[type[Exception], str] = ArchiveError, "does not hold what"
    if problem == "truncated":
        path.write_bytes(path.read_bytes()[:-9])
        expected = ArchiveError, "truncated or damaged"
    elif problem == "another":
        digest = Digest("sha256", "0" * 64)
        expected = ChecksumError, "not the published file: expected sha256 0000"
    elif problem == "disk":
        read = builder.repack.BlockReader.read_some
        monkeypatch.setattr(
            builder.repack.BlockReader, "read_some", lambda self: read(self)[1:]
        )
    elif problem == "there":
        output = tmp_path
        expected = OptionError, "is there already"
    else:
        size = 0
        expected = OptionError, "patches: expected at least 1, got 0"

    with pytest.raises(expected[0], match=expected[1]):
        repack(JobSource(ARCHIVE, path, digest), output, patch_index, size, quiet=True)

    assert [path] == [*tmp_path.iterdir()]
