from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bigearthnet.engine.job import JobSource
from bigearthnet.errors import ArchiveError, ChecksumError, OptionError
from bigearthnet.release import V1, Digest
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.source.parts import list_parts
from builder.index import index

ARCHIVE = V1.archive("s2")

Patches = dict[str, dict[str, bytes]]
WriteArchive = Callable[..., Path]


def test_the_command_writes_the_index_beside_the_archive(
    fake_patches: Patches,
    write_archive: WriteArchive,
    patch_index: PatchIndex,
    tmp_path: Path,
) -> None:
    """It says how many parts there are, and how large the index is."""
    path = write_archive(tmp_path, fake_patches, kind="tar")
    run = [sys.executable, "-m", "builder.index", f"--source={path}", "--patches=4"]
    done = subprocess.run(run, capture_output=True, text=True, check=True)

    assert f"{path}.index: 2 parts, " in done.stdout
    assert 2 == len(list_parts([path], ARCHIVE, patch_index))
    assert [path, Path(f"{path}.index")] == sorted(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "size", "threads", "error", "match"),
    [
        ({}, 0, 1, OptionError, "patches: expected at least 1, got 0"),
        ({}, 1, 0, OptionError, "decompressors: expected at least 1, got 0"),
        ({"path": Path("/")}, 1, 1, OptionError, "/ is a folder, which needs"),
        ({"path": Path("/none")}, 1, 1, ArchiveError, "no source at /none"),
        ({"digest": Digest("md5", "0")}, 1, 1, ChecksumError, "expected md5 0, got"),
    ],
)
def test_what_cannot_be_indexed_is_refused(
    change: dict[str, object],
    size: int,
    threads: int,
    error: type[Exception],
    match: str,
    fake_patches: Patches,
    write_archive: WriteArchive,
    patch_index: PatchIndex,
    tmp_path: Path,
) -> None:
    """The error names the option or the file, and nothing is written."""
    archive = dataclasses.replace(ARCHIVE, digest=Digest("md5", ""))
    path = write_archive(tmp_path, fake_patches, kind="tar")
    source = dataclasses.replace(JobSource(archive, path), **change)  # type: ignore[arg-type]

    with pytest.raises(error, match=match):
        index(source, patch_index, size, threads)

    assert [path] == [*tmp_path.iterdir()]
