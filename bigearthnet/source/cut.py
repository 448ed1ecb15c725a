"""An archive that was cut into several files, each a tar file of whole patches.

They lie in one folder under the names that `builder.repack` gives them, which alone
tell: `s2-00000-of-00138.tar.zst` to `s2-00137-of-00138.tar.zst`; or `.tar`, `.tar.gz`.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from bigearthnet.errors import ArchiveError
from bigearthnet.release import Archive
from bigearthnet.source.blocks import examine
from bigearthnet.source.folder import find_root
from bigearthnet.source.groups import NEXT_FILE, Member
from bigearthnet.source.litter import Litter
from bigearthnet.source.tar import TarMembers

_NAME = re.compile(r"(.+)-([0-9]{5,})-of-([0-9]{5,})(\.tar(?:\.gz|\.zst)?)")


class CutMembers:
    """The files of a cut archive, in the order of its parts; see `groups.Members`.

    Attributes:
        nbytes: Size of all parts in bytes.
        is_compressed: Whether any of them is compressed.
        digests: Empty: it is no file that was published.
        litter: The files of other programs that were left out of all parts.
    """

    digests: Mapping[str, str] = MappingProxyType({})

    def __init__(
        self, paths: Sequence[Path], archive: Archive, decompressors: int = 1
    ) -> None:
        """Opens the first part, and looks at how the others begin.

        Args:
            paths: The parts, at least one; see `find_cut`.
            archive: The archive that they hold together.
            decompressors: Threads that decompress a gzip file.

        Raises:
            OptionError: If the package for several of them is not installed.
            ArchiveError: If a part is not a tar file, or cannot be read.
        """
        sizes, codecs = zip(*map(examine, paths), strict=True)
        self.nbytes, self.is_compressed = sum(sizes), set(codecs) != {"none"}
        self.litter = Litter(archive)
        self._paths, self._archive, self._decompressors = paths, archive, decompressors
        self._done = 0  # bytes of the parts before the current one
        self._current = self._open(paths[0])

    def __iter__(self) -> Iterator[Member]:
        """Yields every file; errors as of `tar.TarMembers`, which name the part."""
        yield from self._current
        for path in self._paths[1:]:
            yield NEXT_FILE
            self.close()
            self._done += self._current.nbytes
            self._current = self._open(path)
            yield from self._current

    def _open(self, path: Path) -> TarMembers:
        return TarMembers(path, self._archive, self._decompressors, self.litter)

    @property
    def position(self) -> int:
        """Bytes of all parts read so far."""
        return self._done + self._current.position

    @property
    def offset(self) -> int:
        """Where the header of the latest file is in its decompressed part."""
        return self._current.offset

    def close(self) -> None:
        """Closes the part that is read."""
        self._current.close()


def find_cut(path: Path, archive: Archive) -> tuple[Path, ...]:
    """Finds the parts of a cut archive.

    Args:
        path: Any source.
        archive: The archive that it is said to be.

    Returns:
        The parts in order, all of them; none if it is a file, or holds patches, or no
        parts.

    Raises:
        ArchiveError: If a part is missing or no file, or there are those of several
            archives.
    """
    if not path.is_dir():
        return ()
    with contextlib.suppress(ArchiveError):
        find_root(path, archive)
        return ()
    return list_cut(path)


def list_cut(folder: Path) -> tuple[Path, ...]:
    """Lists the parts of a cut archive in a folder; see `find_cut`."""
    found: dict[tuple[str, int, str], dict[int, Path]] = {}
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return ()  # of which opening it says more
    for name in names:
        if (parts := _parse(name)) is not None:
            stem, number, count, ending = parts
            found.setdefault((stem, count, ending), {})[number] = folder / name
    if not found:
        return ()
    if len(found) > 1:
        first, second, *_ = (min(files.values()).name for files in found.values())
        raise ArchiveError(
            f"{folder} holds parts of several archives, {first} and {second}. Keep "
            "those of each in a folder of its own."
        )
    (((stem, count, ending), files),) = found.items()
    missing = next((n for n in range(count) if n not in files), None)
    if missing is not None:
        name = f"{stem}-{missing:05d}-of-{count:05d}{ending}"
        raise ArchiveError(
            f"{folder / name} is missing: found {len(files):,} of {count:,} parts of "
            "the archive. Put it back, or cut the archive again."
        )
    if len(files) > count:
        raise ArchiveError(
            f"{files[max(files)]} is a part too many: expected {count:,}, numbered "
            "from 0. Move it away, or cut the archive again."
        )
    for path in files.values():
        if not path.is_file():
            raise ArchiveError(
                f"{path} is no file: expected a part of the archive. Put it back, or "
                "cut the archive again."
            )
    return tuple(files[number] for number in range(count))


def is_part_name(name: str) -> bool:
    """Whether a file is named like a part of a cut archive."""
    return _parse(name) is not None


def _parse(name: str) -> tuple[str, int, int, str] | None:
    """Returns what stands before the numbers, the numbers, and what follows them."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    stem, ending, number, count = match[1], match[4], int(match[2]), int(match[3])
    is_written_so = name == f"{stem}-{number:05d}-of-{count:05d}{ending}"
    return (stem, number, count, ending) if is_written_so else None
