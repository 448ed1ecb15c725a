"""Compressed files that were made to do harm, or were cut, joined or added to."""

from __future__ import annotations

import gzip
import os
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd

from bigearthnet.errors import ArchiveError
from bigearthnet.release import V1
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.source import open_source
from bigearthnet.source.blocks import BlockReader

ARCHIVE = V1.archive("s2")
CONTENT = bytes(range(256)) * 3000
GZIP = gzip.compress(CONTENT, 1, mtime=0)
ZSTD = zstd.compress(CONTENT, options={zstd.CompressionParameter.checksum_flag: 1})
SKIPPED = b"\x5a\x2a\x4d\x18" + struct.pack("<I", 300) + bytes(300)

# A frame of no declared size whose window is 128 KiB; blocks follow.
FRAME = b"\x28\xb5\x2f\xfd\x00" + bytes([(17 - 10) << 3])
# A block of 128 KiB, given as one byte to be repeated; not the last.
RUN = (2**17 << 3 | 1 << 1).to_bytes(3, "little")
LAST = b"\x01\0\0"

Patches = dict[str, dict[str, bytes]]


def read(path: Path, *pieces: bytes, decompressors: int = 1) -> bytes:
    """Reads a compressed file made of some pieces."""
    path = path / "a.compressed"
    path.write_bytes(b"".join(pieces))
    reader = BlockReader(path, decompressors=decompressors)
    try:
        return b"".join(iter(reader.read_some, b""))
    finally:
        reader.close()


@pytest.fixture(params=["isal", "standard library", "rapidgzip"])
def gzip_reader(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> int:
    """Each reader of gzip, one after the other; the threads that it decompresses by."""
    if request.param == "rapidgzip":
        pytest.importorskip("rapidgzip")
        return 2
    if request.param != "isal":
        (tmp_path / "isal.py").write_text("raise ImportError('not here')")
        monkeypatch.syspath_prepend(tmp_path)
    return 1


@pytest.mark.parametrize(
    ("pieces", "copies"),
    [
        ([GZIP, GZIP], 2),
        ([GZIP, gzip.compress(b"", mtime=0), GZIP], 2),
        ([GZIP, bytes(1000)], 1),
    ],
    ids=["two members", "an empty member", "zeros"],
)
def test_gzip_members_and_zeros_are_read_to_the_end(
    pieces: list[bytes], copies: int, gzip_reader: int, tmp_path: Path
) -> None:
    """All members of a gzip file are one stream; zeros may follow, as on tapes."""
    if gzip_reader > 1 and pieces[-1] == bytes(1000):
        with pytest.raises(ArchiveError, match=r"damaged; .*decompressors=1"):
            read(tmp_path, *pieces, decompressors=gzip_reader)
    else:
        assert CONTENT * copies == read(tmp_path, *pieces, decompressors=gzip_reader)


@pytest.mark.parametrize(
    "pieces",
    [
        *[[GZIP, b"garbage"], [GZIP, b"\x1f\x8b"], [GZIP, bytes(10), b"x"]],
        *[
            [GZIP[:-1]],
            [GZIP[:-8]],
            [GZIP[:-9]],
            [GZIP[:1000]],
            [GZIP[:10]],
            [GZIP[:2]],
        ],
        *[[GZIP, GZIP[:-1]], [GZIP[:-4], bytes(4)], [GZIP[:-8], bytes(8)]],
        [b"\x1f\x8b\x08\x08" + bytes(6) + b"endless name" * 100_000],
        [b"\x1f\x8b\x07\0" + GZIP[4:]],
    ],
    ids=range(14),
)
def test_cut_damaged_and_added_to_gzip_is_an_error(
    pieces: list[bytes], gzip_reader: int, tmp_path: Path
) -> None:
    """A gzip file that ends early, late or wrong is damaged."""
    with pytest.raises(ArchiveError, match=r"a\.compressed.*truncated or damaged"):
        read(tmp_path, *pieces, decompressors=gzip_reader)


@pytest.mark.parametrize(
    ("pieces", "copies"),
    [
        ([ZSTD, ZSTD], 2),
        ([ZSTD, SKIPPED, ZSTD], 2),
        ([SKIPPED, ZSTD, SKIPPED], 1),
        ([ZSTD, FRAME, LAST], 1),
    ],
    ids=["two frames", "skippable between", "skippable around", "empty frame"],
)
def test_zstd_frames_are_read_to_the_end(
    pieces: list[bytes], copies: int, tmp_path: Path
) -> None:
    """All frames of a zstd file are one stream; skippable ones are passed over."""
    assert CONTENT * copies == read(tmp_path, *pieces)


@pytest.mark.parametrize(
    "pieces",
    [
        *[[ZSTD, b"garbage"], [ZSTD, bytes(100)], [ZSTD, SKIPPED[:-1]], [ZSTD[:-1]]],
        *[[ZSTD[:-5]], [ZSTD[:7]], [ZSTD[:4]], [ZSTD, ZSTD[:1]], [FRAME], [FRAME, RUN]],
        [ZSTD[:-1] + bytes([ZSTD[-1] ^ 1])],
    ],
    ids=range(11),
)
def test_cut_damaged_and_added_to_zstd_is_an_error(
    pieces: list[bytes], tmp_path: Path
) -> None:
    """A zstd file that ends early, late or wrong is damaged, even if only zeros follow.

    The decompressor itself takes a cut frame for the end of the stream.
    """
    with pytest.raises(ArchiveError, match=r"a\.compressed.*truncated or damaged"):
        read(tmp_path, *pieces)


def test_zstd_frames_of_huge_windows_are_refused(tmp_path: Path) -> None:
    """A frame that asks for more than 128 MiB of memory does not get it."""
    window = bytes([(28 - 10) << 3])

    assert b"" == read(tmp_path, FRAME[:5], bytes([(27 - 10) << 3]), LAST)
    with pytest.raises(ArchiveError, match="too much memory"):
        read(tmp_path, FRAME[:5], window, LAST)


@pytest.mark.parametrize("level", [1, 19])
@pytest.mark.parametrize("content", [b"x", bytes(10**6), CONTENT])
def test_a_frame_that_is_cut_anywhere_is_an_error(
    content: bytes, level: int, tmp_path: Path
) -> None:
    """A file that ends within a frame is refused, wherever that is."""
    frame = zstd.compress(content, level) + SKIPPED
    for end in (5, len(frame) // 2, len(frame) - len(SKIPPED) - 1):
        with pytest.raises(ArchiveError, match="end-of-stream marker"):
            read(tmp_path, frame[:end])
    assert content == read(tmp_path, frame)


def compress_zeros(kind: str) -> bytes:
    """Compresses 16 GiB (zstd) or 1 GiB (gzip) of zeros."""
    if kind == "zst":
        return (FRAME + (RUN + b"\0") * 2**17) + LAST
    return gzip.compress(bytes(2**24), 9) * 64


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_a_bomb_of_zeros_is_an_error(
    kind: str, patch_index: PatchIndex, tmp_path: Path
) -> None:
    """A small file that holds gigabytes of zeros is refused after the first few."""
    path = tmp_path / f"a.tar.{kind}"
    path.write_bytes(compress_zeros(kind))

    with (
        open_source(path, ARCHIVE) as source,
        pytest.raises(ArchiveError, match="zeros follow the end of the archive"),
    ):
        list(source.patches(patch_index))

    assert path.stat().st_size < 2**21


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_a_bomb_within_a_member_is_an_error(
    kind: str, patch_index: PatchIndex, tmp_path: Path
) -> None:
    """A member that declares gigabytes is refused before it is decompressed."""
    info = tarfile.TarInfo("p/a")
    info.size = 2**34
    header = info.tobuf(tarfile.GNU_FORMAT)
    start = {"gz": gzip.compress, "zst": zstd.compress}[kind]
    path = tmp_path / f"a.tar.{kind}"
    path.write_bytes(start(header) + compress_zeros(kind))

    with (
        open_source(path, ARCHIVE) as source,
        pytest.raises(ArchiveError, match=f"declares {2**34} bytes"),
    ):
        list(source.patches(patch_index))


@pytest.mark.parametrize("where", ["stat", "open"])
def test_a_file_that_cannot_be_read_is_an_error(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the operating system refuses is an error that names the file."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "a.tar"
    path.write_bytes(b"x")
    monkeypatch.setattr(Path, where, refuse)

    with pytest.raises(ArchiveError, match=r"cannot read .*a\.tar: .*Permission"):
        BlockReader(path)


def test_a_pipe_is_no_source(tmp_path: Path) -> None:
    """A named pipe is refused, not waited for."""
    path = tmp_path / "a.tar"
    os.mkfifo(path)

    with pytest.raises(ArchiveError, match="no source at"):
        open_source(path, ARCHIVE)


def test_an_archive_of_several_members_and_frames_is_read_whole(
    fake_patches: Patches,
    write_archive: Callable[..., Path],
    patch_index: PatchIndex,
    tmp_path: Path,
) -> None:
    """Where a compressor starts anew says nothing of where a tar member does."""
    plain = write_archive(tmp_path, fake_patches, kind="tar").read_bytes()
    compressors = {"gz": gzip.compress, "zst": zstd.compress}
    for kind, compress in compressors.items():
        path = tmp_path / f"a.tar.{kind}"
        cut = 100_003
        path.write_bytes(compress(plain[:cut]) + compress(plain[cut:]))
        with open_source(path, ARCHIVE) as source:
            found = {raw.name: raw.files for raw in source.patches(patch_index)}

        assert fake_patches == found
