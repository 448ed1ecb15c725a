"""The index of an archive: sections of whole patches, each of which can be read alone.

A Parquet file beside the archive, a row group for each section:

    start, stop   bytes of the decompressed tar file before it, and before its end
    crc32         CRC-32 (ISO 3309) of these bytes
    gzip          where a `.tar.gz` can be entered there; see `gzip_index`

and, as JSON in the metadata of its schema, `bigearthnet`: how large the archive is,
its checksums, the sha256 of its two ends, and which patches have empty folders.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bigearthnet.errors import ArchiveError, BigEarthNetError, StoreError
from bigearthnet.release import Archive, Digest, Release
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.source import decompress
from bigearthnet.source.blocks import choose_codec
from bigearthnet.source.gzip_index import GzipIndex
from bigearthnet.source.identity import check_digest, hash_ends
from bigearthnet.source.sections import Cutter, StreamBlocks
from bigearthnet.util.command import check_packages
from bigearthnet.util.files import DurableFile
from bigearthnet.util.remote import RemotePath

SUFFIX = ".index"
_VERSION = 1
_KEY = b"bigearthnet"
_SCHEMA = pa.schema(
    [
        pa.field("start", pa.uint64(), nullable=False),
        pa.field("stop", pa.uint64(), nullable=False),
        pa.field("crc32", pa.uint32(), nullable=False),
        pa.field("gzip", pa.binary()),
    ]
)


@dataclass(frozen=True)
class Section:
    """Some whole patches of an archive.

    Attributes:
        start: Bytes of the decompressed tar file before it.
        stop: Bytes before its end.
        crc32: Checksum of the bytes between.
    """

    start: int
    stop: int
    crc32: int


@dataclass(frozen=True)
class ArchiveIndex:
    """What an index says of its archive.

    Attributes:
        nbytes: Size of the archive in bytes.
        digests: Its checksums by algorithm.
        is_compressed: Whether it is a gzip file.
        empty: Rows of the patches whose folders are empty.
        sections: In order.
    """

    nbytes: int
    digests: Mapping[str, str]
    is_compressed: bool
    empty: tuple[int, ...]
    sections: tuple[Section, ...]


def index_file(path: Path) -> Path:
    """Returns where the index of an archive lies."""
    return path.with_name(path.name + SUFFIX)


def write_index(
    path: Path,
    archive: Archive,
    patches: PatchIndex,
    size: int,
    threads: int = 1,
    digest: Digest | None = None,
) -> ArchiveIndex:
    """Reads an archive once and writes its index beside it, whole or not at all.

    Args:
        path: A tar file, plain or compressed by gzip.
        archive: The archive that it is, or is laid out like.
        patches: The patches of the release.
        size: Patches of a section.
        threads: How many decompress.
        digest: Checksum that it must have; None for any.

    Raises:
        ChecksumError: If it has another one.
        OptionError: If the package for a `.tar.gz` is not installed.
        ArchiveError: If it cannot be read to its end, has its patches' files apart, or
            is compressed by zstd.
        OSError: If the index cannot be written.
    """
    codec = choose_codec(path)
    if codec == "zstd":
        raise ArchiveError(
            f"{path} cannot be indexed: a zstd frame can only be read from its start. "
            f"Cut it into parts: {_advise_repack(path, archive, patches.release)}"
        )
    if codec == "gzip":
        check_packages("rapidgzip", "rapidgzip")
    name = str(path)
    file = decompress.HashingFile(name, ["sha256", archive.digest.algorithm])
    stream = file if codec == "none" else decompress.ParallelGzip(name, file, threads)
    with contextlib.closing(stream):
        cutter = Cutter(StreamBlocks(stream, name), name, archive, patches, size)
        sections = tuple(_measure(cutter))
        index = None
        if isinstance(stream, decompress.ParallelGzip):
            index = GzipIndex(stream.export_index())
    rest = file.digest()
    digests = {}
    for algorithm in ("sha256", archive.digest.algorithm):
        length = hashlib.new(algorithm).digest_size
        digests[algorithm], rest = rest[:length].hex(), rest[length:]
    check_digest(path, digests, digest)
    made = ArchiveIndex(
        path.stat().st_size, digests, index is not None, cutter.empty, sections
    )
    _write(path, made, index)
    return made


def _advise_repack(path: Path, archive: Archive, release: Release) -> str:
    """Returns the command that cuts it, of the choice with the fewest archives."""
    choices = [c for c in release.choices if archive.name in c.archives]
    choice = min(choices, key=lambda choice: len(choice.archives))
    others = "".join(f" --{n}=..." for n in choice.archives if n != archive.name)
    return (
        f"python -m builder.repack --config={choice.name} --{archive.name}={path}"
        f"{others} --output=..."
    )


def _measure(cutter: Cutter) -> Iterator[Section]:
    start, stop, crc32, current = 0, 0, 0, 0
    for number, piece in cutter:
        if number != current:
            yield Section(start, stop, crc32)
            start, crc32, current = stop, 0, number
        stop += len(piece)
        crc32 = zlib.crc32(piece, crc32)
    if stop > start:
        yield Section(start, stop, crc32)


def _write(path: Path, made: ArchiveIndex, index: GzipIndex | None) -> None:
    facts = {
        "version": _VERSION,
        "bytes": made.nbytes,
        "digests": made.digests,
        "ends": hash_ends(path, made.nbytes),
        "is_compressed": made.is_compressed,
        "empty": made.empty,
    }
    schema = _SCHEMA.with_metadata({_KEY: json.dumps(facts).encode()})
    options = {"compression": "zstd", "write_page_checksum": True}
    target = index_file(path)
    with DurableFile(target.parent, target.name) as file:
        with pq.ParquetWriter(file, schema, use_dictionary=False, **options) as writer:
            for section in made.sections:
                gzip = None if index is None else index.cut(section.start, section.stop)
                row = {**vars(section), "gzip": gzip}
                writer.write_table(pa.Table.from_pylist([row], schema))
        file.finish()


def read_index(path: Path | RemotePath) -> ArchiveIndex:
    """Reads the index of an archive.

    Args:
        path: The archive.

    Raises:
        ArchiveError: If there is no index, or it is damaged or of another archive.
        DownloadError: If a remote one cannot be had.
    """
    with _open_index(path) as file:
        facts = _parse_facts(file, path)
        table = file.read(columns=["start", "stop", "crc32"])
    nbytes = _find_nbytes(path)
    if nbytes != facts["bytes"] or hash_ends(path, nbytes) != facts["ends"]:
        raise ArchiveError(
            f"{path}{SUFFIX} is the index of another file: of {facts['bytes']:,} bytes "
            f"with sha256 {facts['digests']['sha256']}; {path} has {nbytes:,}, or "
            f"other ones. {_ADVICE}"
        )
    sections = tuple(Section(**row) for row in table.to_pylist())
    empty = tuple(facts["empty"])
    return ArchiveIndex(
        nbytes, facts["digests"], facts["is_compressed"], empty, sections
    )


def read_gzip_index(path: Path | RemotePath, number: int) -> bytes:
    """Reads where a `.tar.gz` can be entered for one section.

    Args:
        path: The archive.
        number: Number of the section.

    Raises:
        ArchiveError, DownloadError: As in `read_index`.
    """
    with _open_index(path) as file:
        content: bytes = file.read_row_group(number, ["gzip"])["gzip"][0].as_py()
    return content


_ADVICE = "Index it again: python -m builder.index --source=..."


@contextlib.contextmanager
def _open_index(path: Path | RemotePath) -> Iterator[pq.ParquetFile]:
    """Opens an index; errors of reading it become ours."""
    place = index_file(path) if isinstance(path, Path) else _beside(path)
    try:
        if isinstance(place, Path) and not place.is_file():
            raise FileNotFoundError
        source = place if isinstance(place, Path) else place.open()
    except (FileNotFoundError, StoreError):
        raise ArchiveError(
            f"{path} has no index {place.name} beside it. {_ADVICE}"
        ) from None
    try:
        with pq.ParquetFile(source, page_checksum_verification=True) as file:
            yield file
    except BigEarthNetError:
        raise
    except (pa.ArrowException, KeyError, OSError, TypeError, ValueError) as cause:
        raise ArchiveError(f"{place} is damaged ({cause}). {_ADVICE}") from None


def _beside(path: RemotePath) -> RemotePath:
    return RemotePath(path.url + SUFFIX, path.target + SUFFIX, path.revision)


def _parse_facts(file: pq.ParquetFile, path: Path | RemotePath) -> Mapping[str, Any]:
    facts: Mapping[str, Any] = json.loads((file.schema_arrow.metadata or {})[_KEY])
    if facts["version"] != _VERSION:
        raise ArchiveError(
            f"{path}{SUFFIX} has version {facts['version']}: expected {_VERSION}. "
            f"{_ADVICE}"
        )
    return facts


def _find_nbytes(path: Path | RemotePath) -> int:
    return path.stat().st_size if isinstance(path, Path) else path.find_nbytes()
