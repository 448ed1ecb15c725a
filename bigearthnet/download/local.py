"""What is there of an archive before it is downloaded, and what is said of it.

70 GB are not received because of a name: whatever can be read is found first, and what
looks like the archive and cannot be read is named.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bigearthnet.release import Archive
from bigearthnet.source.candidates import (
    Candidate,
    choose,
    is_named_like,
    list_candidates,
    unfinished_name,
)
from bigearthnet.store.nearby import describe_stores
from bigearthnet.store.search import default_data_dir


@dataclass(frozen=True)
class Found:
    """Where an archive lies, or is to be downloaded to.

    Attributes:
        archive: The archive.
        path: The archive or a folder of its patches; the file to make if there is none.
        is_here: Whether it is there.
        manual: The folder that people put archives into.
        others: What else may be the archive, and is not read.
    """

    archive: Archive
    path: Path
    is_here: bool
    manual: Path
    others: Sequence[Candidate]

    @property
    def is_published(self) -> bool:
        """Whether it is a file that must have the published checksum."""
        names = self.archive.filenames
        return self.path.name in names or (
            self.path.is_file() and self.path.stat().st_size == self.archive.nbytes
        )

    def without(self, archives: Iterable[Archive]) -> Found:
        """Leaves out what is named like other archives: it is no wonder there."""
        wanted = [a for a in archives if a != self.archive]
        others = [
            candidate
            for candidate in self.others
            if not any(is_named_like(candidate.path, a) for a in wanted)
        ]
        return dataclasses.replace(self, others=others)

    @property
    def missing_nbytes(self) -> int:
        """Bytes that are to be downloaded; 0 if nobody knows."""
        if self.is_here or self.archive.nbytes is None:
            return 0
        part = self.path.with_name(unfinished_name(self.archive))
        received = part.stat().st_size if part.is_file() else 0
        return max(0, self.archive.nbytes - received)


def find_archive(
    archive: Archive, manual: Path, downloads: Path, own: str, again: bool
) -> Found:
    """Finds an archive, in any form that can be read, where it may have been put.

    Args:
        archive: The archive.
        manual: The folder that people put archives into; it may be missing.
        downloads: The folder of downloads, in which some put them, too.
        own: Name of the folder below it that archives are downloaded to.
        again: Whether an archive in the folders of downloads is to be replaced.

    Raises:
        ArchiveError: If what is there and named like the archive cannot be read, or
            there are several and nobody can know which to read.
    """
    others = list_candidates(manual, archive, 2)
    if not again:  # what lies there under no such name has other business there
        listed = list_candidates(downloads, archive, 1)
        others += [c for c in listed if c.problem is None and c not in others]
    taken = choose(others, archive)
    if taken is not None:
        others.remove(taken)
        return Found(archive, taken.path, True, manual, others)
    resumed = (manual / unfinished_name(archive)).is_file()
    folder = manual if resumed else downloads / own
    path = folder / archive.filenames[0]
    return Found(archive, path, path.is_file() and not again, manual, others)


def count_missing(found: Sequence[Found], data_dir: Path) -> int:
    """Returns the bytes to download that TFDS may be told of.

    TFDS wants as much space in the data directory, wherever the download goes; where
    there is less, `fetch` refuses what does not fit, after it was said what is there.

    Args:
        found: The archives.
        data_dir: The data directory.
    """
    missing = sum(archive.missing_nbytes for archive in found)
    if data_dir.is_dir() and missing >= shutil.disk_usage(data_dir).free:
        return 0
    return missing


def describe_found(found: Found, num_patches: int, data_dir: Path, config: str) -> str:
    """Returns what is said of an archive before it is read, or downloaded.

    Args:
        found: The archive.
        num_patches: Patches that it must hold if its checksum is not known.
        data_dir: The data directory that is built in.
        config: Name of the configuration.

    Returns:
        Lines; "" if it goes without saying.
    """
    if not found.is_here:
        return "\n".join(_describe_download(found, data_dir, config))
    names = (*found.archive.filenames, found.archive.folder)
    if found.path.name in names and not found.others:
        return ""
    return "\n".join(_describe_choice(found, num_patches))


def _describe_choice(found: Found, num_patches: int) -> Iterator[str]:
    checked = f"its patches are counted: expected {num_patches:,}"
    if found.is_published:
        checked = "its checksum is compared with the published one"
    yield f"reads {found.path}; {checked}"
    for other in found.others:
        reason = other.problem or (
            "published names come first, then other files, then folders"
        )
        yield f"does not read {other.path}: {reason}"


def _describe_download(found: Found, data_dir: Path, config: str) -> Iterator[str]:
    archive, missing = found.archive, found.missing_nbytes
    size = f"{missing / 1e9:.1f} GB"
    if archive.nbytes is None:
        size = "of unknown size"
    elif missing < archive.nbytes:
        size = f"the last {size} of {archive.nbytes / 1e9:.1f}"
    yield (
        f"found no archive in {found.manual}/: downloads {archive.filenames[0]}, "
        f"{size}, from {archive.url} to {found.path.parent}/. It can be interrupted, "
        "and goes on where it was."
    )
    yield (
        "If you have the archive (.tar.gz, .tar, .tar.zst), or the folder that it was "
        f"extracted to, put it into {found.manual}/, or build from where it lies: "
        f"python -m builder.build --source=... --data_dir={data_dir} --config={config}"
    )
    for other in found.others:
        yield f"cannot use {other.path}: {other.problem}"
    if stores := describe_stores([data_dir, default_data_dir()]):
        yield (
            "Stores that are there already, which bigearthnet.load takes as data_dir: "
            f"{'; '.join(stores)}"
        )
