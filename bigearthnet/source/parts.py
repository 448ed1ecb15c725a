"""A source in parts, each of which another process or machine can read alone.

A part is a small value. A folder is split by the names in the release's table, so that
nothing is listed; an archive by its index (`archive_index`); one without an index is a
part itself, and several archives, or the files of one that was cut, are several.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bigearthnet.errors import ArchiveError
from bigearthnet.release import Archive
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.source import Source, open_source
from bigearthnet.source.archive_index import (
    Section,
    index_file,
    read_gzip_index,
    read_index,
)
from bigearthnet.source.blocks import choose_codec
from bigearthnet.source.cut import find_cut
from bigearthnet.source.folder import find_root
from bigearthnet.source.listing import is_folder, list_places
from bigearthnet.source.part_folders import NamedFolders, RemoteFolders
from bigearthnet.source.sections import StreamBlocks
from bigearthnet.source.tar import TarParser
from bigearthnet.util.command import check_packages
from bigearthnet.util.remote import RemotePath

# Patches of a part: as many as the largest shard has.
PATCHES_PER_PART = 4_000


@dataclass(frozen=True)
class Part:
    """What one task reads of a source.

    Attributes:
        archive: The published archive that the source is, or is laid out like.
        place: Its file or folder.
        number: Number of the part, from 0, and with `count` its name.
        count: Parts of the source.
        rows: Of a folder: rows of the release's table whose patches it is.
        others: Of a folder: what else lies in it, which one part reads, too.
        section: Of an archive with an index: where in it.
        section_number: Number of the section.
        is_gzip: Whether that archive is compressed.
        empty: Rows of the patches of which this part tells that folders are empty.
    """

    archive: Archive
    place: Path | RemotePath
    number: int = 0
    count: int = 1
    rows: tuple[int, ...] = ()
    others: tuple[str, ...] = ()
    section: Section | None = None
    section_number: int = 0
    is_gzip: bool = False
    empty: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """Name of the part, for files that are made of it.

        Of a folder it tells what is read: between two runs of a build patches may be
        added or removed, where nobody looks for changes, and other ones be in a part.
        """
        name = f"{self.archive.name}-{self.number:05d}-of-{self.count:05d}"
        if not self.rows:
            return name
        digest = hashlib.sha256(repr((self.rows, self.others)).encode()).hexdigest()
        return f"{name}-{digest[:16]}"


class PartSource(Source):
    """An opened part; see `open_part`.

    Attributes:
        missing: Names of patches of a folder that are not there, once all was read.
    """

    missing: Sequence[str] = ()


def list_parts(
    places: Sequence[Path | RemotePath],
    archive: Archive,
    patches: PatchIndex,
    rows: npt.NDArray[np.intp] | None = None,
    size: int = PATCHES_PER_PART,
) -> tuple[Part, ...]:
    """Splits a source; the same source is always split likewise.

    Args:
        places: One folder or archive, the folder of an archive that was cut (see
            `cut`), or several archives that hold it together. At a URL: a folder that
            holds what is at the top of the archive, or a `.tar` with an index.
        archive: The published archive that it is, or is laid out like.
        patches: The patches of the release.
        rows: Rows of the patches to read of a folder, shape (patch,); None for all.
        size: Patches of a part of a folder. An index has its own.

    Returns:
        The parts, in the order in which `source.open_source` would read them.

    Raises:
        ArchiveError: If a place is no source, or its index is damaged or of another
            file.
        DownloadError, StoreError: If an index at a URL cannot be had.
    """
    parts: list[Part] = []
    for place in places:
        files = find_cut(place, archive) if isinstance(place, Path) else ()
        for file in files or (place,):
            parts += _split(file, archive, patches, rows, size)
    return tuple(
        replace(part, number=number, count=len(parts))
        for number, part in enumerate(parts)
    )


def _split(
    place: Path | RemotePath,
    archive: Archive,
    patches: PatchIndex,
    rows: npt.NDArray[np.intp] | None,
    size: int,
) -> Iterator[Part]:
    if is_folder(place):
        root = find_root(place, archive) if isinstance(place, Path) else place
        chosen = np.arange(len(patches)) if rows is None else np.asarray(rows)
        names = patches.names(archive.ids).take(chosen).to_pylist()
        paths = [list_places(name, archive)[0].split("/") for name in names]
        order = sorted(range(len(names)), key=paths.__getitem__)
        for start in range(0, len(order), size):
            part = chosen[order[start : start + size]]
            yield Part(archive, root, rows=tuple(part.tolist()))
    elif isinstance(place, Path) and not index_file(place).exists():
        if place.is_file():
            choose_codec(place)  # which says if it is none
        else:
            open_source(place, archive)  # likewise
        yield Part(archive, place)
    else:
        yield from _split_archive(place, archive)


def _split_archive(place: Path | RemotePath, archive: Archive) -> Iterator[Part]:
    index = read_index(place)
    if index.is_compressed and not isinstance(place, Path):
        raise ArchiveError(
            f"{place} cannot be read in parts: a .tar.gz must lie on a file system. "
            "Copy or mount it, or unpack it to a .tar."
        )
    for number, section in enumerate(index.sections):
        yield Part(
            archive,
            place,
            section=section,
            section_number=number,
            is_gzip=index.is_compressed,
            empty=index.empty if number == 0 else (),
        )


class _SectionMembers(TarParser):
    """The files of a section of an archive; see `groups.Members`."""

    is_compressed = False
    digests: dict[str, str] = {}  # noqa: RUF012 - never filled

    def __init__(self, part: Part, section: Section) -> None:
        self.nbytes = section.stop - section.start
        self._stack = contextlib.ExitStack()
        try:
            stream = self._stack.enter_context(_open_stream(part))
            stream.seek(section.start)
        except (OSError, RuntimeError, ValueError) as cause:
            self.close()
            if isinstance(cause, ArchiveError):
                raise
            raise ArchiveError(f"{part.place} cannot be read ({cause}).") from None
        self._file = StreamBlocks(stream, str(part.place), self.nbytes, section.crc32)
        super().__init__(self._file, str(part.place), part.archive, section.start)

    @property
    def position(self) -> int:
        """Bytes of the section read so far."""
        return self._file.position

    def close(self) -> None:
        """Closes the file."""
        self._stack.close()


def _open_stream(part: Part) -> contextlib.AbstractContextManager[io.RawIOBase]:
    """Opens the decompressed stream of a part's archive."""
    if not isinstance(part.place, Path):
        return part.place.open()
    if not part.is_gzip:
        return part.place.open("rb", buffering=0)
    check_packages("rapidgzip", "rapidgzip")
    import rapidgzip

    stream = rapidgzip.open(str(part.place), parallelization=1)
    try:
        stream.import_index(
            io.BytesIO(read_gzip_index(part.place, part.section_number))
        )
    except BaseException:
        stream.close()  # its threads must not be running when the process ends
        raise
    return stream


def open_part(part: Part, patches: PatchIndex) -> PartSource:
    """Opens a part of a source: the patches that `open_source` has there.

    Args:
        part: The part.
        patches: The patches of the release.

    Returns:
        A context manager that yields patches. Its members know the checksum of the
        source only if the part is all of it.

    Raises:
        ArchiveError: If the source is not there, or has changed.
        OptionError: If it is a `.tar.gz`, and the package for it is not installed.
        DownloadError, StoreError: If something at a URL cannot be had.
    """
    place, archive = part.place, part.archive
    if part.section is not None:
        index = read_index(place)
        number = part.section_number
        if index.sections[number : number + 1] != (part.section,):
            raise ArchiveError(
                f"{place} was indexed again since its parts were listed. Start again."
            )
        return PartSource(
            place, archive, _SectionMembers(part, part.section), part.empty
        )
    if not part.rows:
        assert isinstance(place, Path)
        return PartSource(place, archive, open_source(place, archive).members)
    names = patches.names(archive.ids).take(np.array(part.rows)).to_pylist()
    folders = (
        NamedFolders(place, archive, names, part.others)
        if isinstance(place, Path)
        else RemoteFolders(place, archive, names, part.others)
    )
    source = PartSource(place, archive, folders, ())
    source.missing = folders.missing
    return source
