r"""Cuts an archive into several .tar.zst, each of whole patches, and verifies them.

For a .tar.zst of one frame, as v2.0 is published: it can only be read from its start,
and its parts can be read by several machines. The source is read once; what the parts
hold together is then read back and compared, byte for byte by sha256, with what it
held. OUTPUT appears whole, or not at all; it takes about as much as the source. Of
several archives, each has such a folder in OUTPUT, named after it. builder.build and
builder.verify read the parts in place of the archive, as long as all of them are there
under their names.

Example:
  python -m builder.repack --source=BigEarthNet-S2.tar.zst --config=v2-s2 \
    --maps=Reference_Maps.tar.zst --output=parts
  python -m builder.build --source=parts --config=v2-s2 --data_dir=data
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import shutil
import sys
from pathlib import Path
from typing import Any

from absl import flags

from bigearthnet.engine.job import JobSource
from bigearthnet.errors import ArchiveError, OptionError
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.source.blocks import BlockReader
from bigearthnet.source.identity import check_digest
from bigearthnet.source.sections import Cutter
from bigearthnet.store.outputs import check_output
from bigearthnet.util import command
from bigearthnet.util.files import DurableFile, make_folder, sync_folder
from bigearthnet.util.progress import Progress
from builder.index import (
    check_archive,
    check_count,
    define_part_flags,
    read_sources,
)

# What a tar file ends with.
_END = bytes(1024)


def repack(
    source: JobSource,
    output: Path,
    patches: PatchIndex,
    size: int,
    *,
    quiet: bool = False,
) -> list[Path]:
    """Cuts an archive into parts.

    Args:
        source: The archive; a file named like the published one must have its checksum.
        output: The folder to make.
        patches: The patches of its release.
        size: Patches of a part.
        quiet: Shows no progress.

    Returns:
        The parts, in order.

    Raises:
        OptionError: If the source is a folder, or something is at `output`.
        ArchiveError: If it cannot be read to its end, has its patches' files apart, or
            the parts do not hold what it held.
        ChecksumError: If it is not the expected file.
        OSError: If a part cannot be written.
    """
    check_output(output, "output")
    check_count("patches", size)
    path = check_archive(source)
    if output.exists():
        raise OptionError(f"output: {output} is there already. Choose another folder.")
    unfinished = output.with_name(f"{output.name}.incomplete")
    shutil.rmtree(unfinished, ignore_errors=True)
    make_folder(unfinished)
    try:
        names = _write_parts(source, path, unfinished, patches, size, quiet)
        unfinished.rename(output)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    sync_folder(output.parent)
    return [output / name for name in names]


def _write_parts(
    source: JobSource,
    path: Path,
    folder: Path,
    patches: PatchIndex,
    size: int,
    quiet: bool,
) -> list[str]:
    archive, content = source.archive, hashlib.sha256()
    blocks = BlockReader(path, archive.digest.algorithm)
    parts: list[Path] = []
    with (
        contextlib.closing(blocks),
        Progress("repack", total_nbytes=blocks.nbytes, quiet=quiet) as progress,
    ):
        cutter = Cutter(blocks, str(path), archive, patches, size)
        for number, pieces in itertools.groupby(cutter, key=lambda found: found[0]):
            parts.append(folder / f"{number:05d}")
            with DurableFile(folder, parts[-1].name) as file:
                with _zstd().ZstdFile(file, "w", options=_options()) as writer:
                    for _, piece in pieces:
                        writer.write(piece)
                        content.update(piece)
                        progress.update(cutter.num_patches, blocks.position)
                    writer.write(_END)
                file.finish()
    check_digest(path, blocks.digests, source.digest)
    _check_content(parts, source, content.hexdigest())
    names = []
    for number, part in enumerate(parts):
        names.append(f"{archive.name}-{number:05d}-of-{len(parts):05d}.tar.zst")
        part.rename(folder / names[-1])
    sync_folder(folder)
    return names


def _zstd() -> Any:
    try:
        from compression import zstd  # of Python 3.14
    except ImportError:
        from backports import zstd
    return zstd


def _options() -> dict[Any, int]:
    return {_zstd().CompressionParameter.checksum_flag: 1}


def _check_content(parts: list[Path], source: JobSource, expected: str) -> None:
    """Reads the parts back and compares what they hold together."""
    found = hashlib.sha256()
    for part in parts:
        with contextlib.closing(BlockReader(part)) as blocks:
            held = b""
            while piece := blocks.read_some():
                held += piece
                found.update(held[: -len(_END)])
                held = held[-len(_END) :]
    if found.hexdigest() != expected:
        raise ArchiveError(
            f"{parts[0].parent} does not hold what {source.path} held: the disk or "
            "the memory is at fault. Try again."
        )


def _define_flags() -> None:
    define_part_flags()
    command.define_path("output", None, "Folder to make.", required=True)


def _main() -> None:
    values = flags.FLAGS
    sources, patches = read_sources()
    for source in sources.values():  # before the first of them takes its hours
        check_archive(source)
    for name, source in sources.items():
        output = values.output if len(sources) == 1 else values.output / name
        print(f"cuts {source.path} into {output}", file=sys.stderr)
        parts = repack(source, output, patches, values.patches)
        print(f"{output}: {len(parts):,} parts, together the content of {source.path}")
    print(
        f"next: python -m builder.build --config={values.config} "
        f"--source={values.output} --data_dir=data"
    )


if __name__ == "__main__":
    command.run(_main, _define_flags)
