"""Finds what a folder holds of an archive: under any name, in any form that is read.

People keep the archive as they got it: renamed, decompressed, extracted, in a folder of
its own. What is named like it and cannot be read is found, too, with the reason.
"""

from __future__ import annotations

import contextlib
import difflib
import gzip
import itertools
import os
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bigearthnet.errors import ArchiveError
from bigearthnet.release import Archive
from bigearthnet.release.published import explain
from bigearthnet.source.blocks import choose_codec
from bigearthnet.source.cut import is_part_name, list_cut
from bigearthnet.source.folder import find_levels
from bigearthnet.source.headers import TarDamage, parse_header
from bigearthnet.source.tar import TarMembers

# Entries of a folder, and files at the start of an archive, that are looked at.
_MOST_ENTRIES = 300
_MOST_FILES = 100

# Sources that an error suggests.
_MOST_SUGGESTED = 3

# Part of a name that makes what cannot be read worth a message.
_DATASET = "bigearthnet"


@dataclass(frozen=True)
class Candidate:
    """What may be an archive.

    Attributes:
        path: A file, or a folder of patches, or of the parts of a cut archive.
        problem: Why it cannot be read; None if it can be.
        is_known: Whether it is of the archive for certain, whatever its name.
    """

    path: Path
    problem: str | None = None
    is_known: bool = False


def list_candidates(folder: Path, archive: Archive, depth: int) -> list[Candidate]:
    """Lists what may be an archive in a folder: by content, or else by name.

    Nothing is read but the start of each file. What the downloader has not finished
    is left out.

    Args:
        folder: The folder; it may hold patches itself.
        archive: The archive that is looked for.
        depth: Levels of folders below it that may hold patches, or the parts of a cut
            archive; above the last of them other files are looked at.

    Returns:
        In the order of names.
    """
    try:
        if find_levels(folder, archive) is not None:
            return [Candidate(folder)]
        with os.scandir(folder) as entries:
            paths = sorted(Path(e) for e in itertools.islice(entries, _MOST_ENTRIES))
    except OSError:
        return []
    parts = [path for path in paths if is_part_name(path.name)]
    others = [path for path in paths if path not in parts] if depth else []
    found = [one for path in others for one in _examine(path, archive, depth - 1)]
    return [*_examine_parts(folder, parts, archive), *found]


def _examine_parts(
    folder: Path, parts: Sequence[Path], archive: Archive
) -> list[Candidate]:
    """Lists a folder that holds parts, if some of them are of the archive."""
    if not parts:
        return []
    problem = None
    try:
        list_cut(folder)
    except ArchiveError as cause:
        problem = str(cause).rstrip(".")
    # Parts have a name in common: the first tells of which archive all of them are.
    firsts = {path.name.rsplit("-", 3)[0]: path for path in reversed(parts)}
    found = [one for path in firsts.values() for one in _examine(path, archive, 0)]
    if any(one.problem is None for one in found):
        return [Candidate(folder, problem, is_known=True)]
    return found


def _examine(path: Path, archive: Archive, depth: int) -> Iterator[Candidate]:
    """Yields what one entry of a folder may be."""
    if path.name == unfinished_name(archive):
        return
    if path.is_dir():
        found = list_candidates(path, archive, depth)
        problem: str | None = (
            f"it holds no folders named like {archive.ids.example}, and no archive"
        )
    else:
        problem = _find_problem(path, archive)
        found = [] if problem else [Candidate(path)]
    if found:
        yield from found
    elif _DATASET in path.name.casefold() or is_named_like(path, archive):
        yield Candidate(path, problem)


def _find_problem(path: Path, archive: Archive) -> str | None:
    """Returns why a file is not an archive; None if it is one."""
    if not path.is_file():
        return "it is no file (a link that leads nowhere?)"
    if path.name in archive.filenames and archive.nbytes is not None:
        nbytes = path.stat().st_size
        if nbytes == archive.nbytes:
            return None
        return (
            f"it has {nbytes:,} bytes, the published file {archive.nbytes:,}: it was "
            "not received to its end, or is another file"
        )
    try:
        if choose_codec(path) == "gzip":
            _check_gzip(path)
        with contextlib.closing(TarMembers(path, archive)) as members:
            for folder, file, _ in itertools.islice(members, _MOST_FILES):
                name = folder.rpartition("/")[2]
                if not archive.ids.matches(name):
                    continue
                # Archives without JSON may name patches alike: a file tells.
                if archive.metadata_suffix or file in archive.file_names(name):
                    return None
    except (OSError, TarDamage) as cause:
        return str(cause).removeprefix(f"{path} ").rstrip(".")
    return (
        f"it begins with no folder named like {archive.ids.example}."
        f"{explain(path.name, archive=archive)}".rstrip(".")
    )


def _check_gzip(path: Path) -> None:
    """Refuses what is no tar file, without a process for each of a thousand files.

    Raises:
        ArchiveError, TarDamage: If it is none.
    """
    try:
        with gzip.open(path) as file:
            parse_header(file.read(tarfile.BLOCKSIZE))
    except (EOFError, zlib.error) as cause:
        raise ArchiveError(f"it cannot be decompressed ({cause})") from None


def unfinished_name(archive: Archive) -> str:
    """Returns the name that an archive has while `download.fetch` receives it."""
    return f"{archive.filenames[0]}.part"


def is_named_like(path: Path, archive: Archive) -> bool:
    """Whether a name begins like one that an archive, or its folder, is known by.

    It is not if that is what another archive was published as.
    """
    if explain(path.name, archive=archive):
        return False
    stems = [name.partition(".tar")[0] for name in archive.filenames]
    known = tuple(stem.casefold() for stem in (*stems, archive.folder))
    return path.name.casefold().startswith(known)


def choose(candidates: Sequence[Candidate], archive: Archive) -> Candidate | None:
    """Chooses what to read: published names first, then other files, then folders.

    Returns:
        None if there is nothing that can be read, nor is named like the archive.

    Raises:
        ArchiveError: If it cannot be read, or nobody can know which of several to read.
    """
    names = (*archive.filenames, archive.folder)

    def rank(candidate: Candidate) -> int:
        path = candidate.path
        if path.name in names:
            return names.index(path.name)
        # A folder may have been extracted in part, which shows only at its end.
        return len(names) + path.is_dir()

    readable = sorted((c for c in candidates if c.problem is None), key=rank)
    if not readable:
        _refuse_unreadable(candidates, archive)
        return None
    first, *others = readable
    equals = [other for other in others if rank(other) == rank(first)]
    if equals and first.path.name not in archive.filenames:  # those have a checksum
        paths = ", ".join(str(c.path) for c in (first, *equals))
        raise ArchiveError(
            f"several sources of {archive.name}: {paths}. Nobody can know which to "
            "read: move the others away, or build from one with "
            "python -m builder.build --source=..."
        )
    return first


def _refuse_unreadable(candidates: Sequence[Candidate], archive: Archive) -> None:
    for candidate in candidates:
        if candidate.is_known:
            raise ArchiveError(f"{candidate.problem}.")
    named = [c for c in candidates if is_named_like(c.path, archive)]
    if named:
        size = "" if archive.nbytes is None else f" ({archive.nbytes:,} bytes)"
        found = "; ".join(f"{c.path} cannot be used: {c.problem}" for c in named)
        raise ArchiveError(
            f"{found}. Expected {archive.filenames[0]}{size}, a "
            "tar file of the same content, plain or compressed by gzip or zstd, or "
            "the folder that it was extracted to. Replace it, or move it away to have "
            "the archive downloaded."
        )


def suggest(path: Path, archive: Archive) -> str:
    """Returns a sentence that names sources at, or beside, a path that is none.

    Args:
        path: The path that was given.
        archive: The archive that was expected.

    Returns:
        With a space before it; "" if there are none.
    """
    folder = path if path.is_dir() else path.parent
    found = [c.path for c in list_candidates(folder, archive, 2) if c.problem is None]

    def likeness(source: Path) -> float:
        name = source.relative_to(folder).parts[:1]
        return difflib.SequenceMatcher(None, path.name, "".join(name)).ratio()

    nearest = sorted(found, key=likeness, reverse=True)[:_MOST_SUGGESTED]
    return f" Did you mean {' or '.join(map(str, nearest))}?" if nearest else ""
