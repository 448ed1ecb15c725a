"""Indexes archives, so that parts of them can be read by themselves.

Each plain .tar or .tar.gz is read once, to its end; the index lies beside it, as
ARCHIVE.index: where patches begin, every so-many, and in a .tar.gz what it takes to
decompress from there (extra [rapidgzip]). It is of this very file: size, both ends and
each part are compared when it is used. A .tar.zst cannot be indexed: builder.repack
cuts it into parts. A folder needs no index.

Example:
  python -m builder.index --source=BigEarthNet-S2-v1.0.tar.gz --decompressors=4
  python -m builder.index --source=downloads --config=v2-s1s2
"""

from __future__ import annotations

import sys
from pathlib import Path

from absl import flags

from bigearthnet.engine.job import JobSource
from bigearthnet.errors import OptionError
from bigearthnet.release import RELEASES
from bigearthnet.release.patch_index import PatchIndex, load_index
from bigearthnet.schema.configs import get_config, list_configs
from bigearthnet.source import open_source
from bigearthnet.source.archive_index import ArchiveIndex, index_file, write_index
from bigearthnet.source.parts import PATCHES_PER_PART
from bigearthnet.util import command
from builder.jobs import make_source
from builder.sources import define_flags, read_flags


def index(
    source: JobSource, patches: PatchIndex, size: int, decompressors: int
) -> ArchiveIndex:
    """Writes the index of an archive beside it.

    Args:
        source: The archive; a file named like the published one must have its checksum.
        patches: The patches of its release.
        size: Patches of a part.
        decompressors: Threads that decompress it.

    Raises:
        OptionError: If it is a folder, a number is none, or a package is not installed.
        ArchiveError, ChecksumError: See `archive_index.write_index`.
    """
    check_count("patches", size)
    check_count("decompressors", decompressors)
    path = check_archive(source)
    return write_index(
        path, source.archive, patches, size, decompressors, source.digest
    )


def check_count(name: str, value: int) -> None:
    """Refuses an option that is no number of anything.

    Raises:
        OptionError: If it is less than 1.
    """
    if value < 1:
        raise OptionError(f"{name}: expected at least 1, got {value}.")


def check_archive(source: JobSource) -> Path:
    """Returns the file that a source is, and refuses one that is no archive.

    Raises:
        OptionError: If it is a folder.
        ArchiveError: If there is none, or it cannot be read.
    """
    assert isinstance(source.path, Path)  # no flag here takes a URL
    if source.path.is_dir():
        raise OptionError(
            f"{source.path} is a folder, which needs neither index nor packing: it is "
            "split by the names of patches, or of the parts of an archive."
        )
    open_source(source.path, source.archive).close()
    return source.path


def define_part_flags() -> None:
    """Defines the flags that say which archives are split, and how."""
    define_flags()
    command.define_choice("config", "s2", [*list_configs(RELEASES)], "Whose archives.")
    flags.DEFINE_integer("patches", PATCHES_PER_PART, "Patches of a part.")


def read_sources() -> tuple[dict[str, JobSource], PatchIndex]:
    """Returns name of each archive → its source, and the patches of the release."""
    config = get_config(flags.FLAGS.config, RELEASES)
    found = {
        name: make_source(config.release.archive(name), path)
        for name, path in read_flags(config).items()
    }
    return found, load_index(config.release, config.choice.scheme)


def _define_flags() -> None:
    define_part_flags()
    flags.DEFINE_integer("decompressors", 1, "Threads that decompress a .tar.gz.")


def _main() -> None:
    values = flags.FLAGS
    sources, patches = read_sources()
    for source in sources.values():
        print(f"indexes {source.path}", file=sys.stderr)
        made = index(source, patches, values.patches, values.decompressors)
        path: Path = index_file(check_archive(source))
        nbytes = path.stat().st_size
        print(
            f"{path}: {len(made.sections):,} parts, {nbytes:,} bytes, "
            f"{100 * nbytes / made.nbytes:.2f} % of the archive"
        )


if __name__ == "__main__":
    command.run(_main, _define_flags)
