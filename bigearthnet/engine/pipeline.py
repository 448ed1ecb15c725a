"""Both stages, one after the other: a source → the shards of one configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bigearthnet.engine.checkpoints import Checkpoints
from bigearthnet.engine.options import BuildOptions
from bigearthnet.engine.shards import ShardInfo, get_schema, plan_shards
from bigearthnet.engine.spool_index import SpoolIndex
from bigearthnet.engine.stage_one import fill_spool
from bigearthnet.engine.stage_two import write_shards
from bigearthnet.engine.workers import WorkerPool
from bigearthnet.engine.workspace import Workspace
from bigearthnet.errors import OptionError, QuarantineError
from bigearthnet.release import Release
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.schema.configs import Config
from bigearthnet.schema.examples import get_make_example
from bigearthnet.store.quarantine import BadPatch
from bigearthnet.store.statistics import BandSums

# The split whose statistics are stored.
STATISTICS_SPLIT = "train"


@dataclass(frozen=True)
class BuildResult:
    """What a build read and wrote.

    Attributes:
        index: One row per patch of the release: read, stored, labels, split.
        shards: The shards, by split and number.
        sums: Sums over the pixels of STATISTICS_SPLIT.
        source_nbytes: Size of the source file; None for a folder.
        source_sha256: Its checksum; None for a folder, or if it was not read to its
            end because of `limit`.
        quarantine: The bad patches that were set aside.
    """

    index: SpoolIndex
    shards: tuple[ShardInfo, ...]
    sums: BandSums
    source_nbytes: int | None
    source_sha256: str | None
    quarantine: tuple[BadPatch, ...] = ()


def encode(
    source: Path | str,
    work: Workspace,
    formats: Sequence[str],
    *,
    config: Config,
    release: Release,
    patches: PatchIndex,
    options: BuildOptions,
) -> BuildResult:
    """Builds the shards of one configuration in one pass over a source.

    Args:
        source: An archive or a folder; see `archive.open_source`.
        work: The workspace; what is done in it is not done again. The shards of each
            format are in `work.output(format)` afterwards.
        formats: Names of the formats to write.
        config: What to store.
        release: What the source is.
        patches: The release's patches in the config's split scheme.
        options: Selection and workers.

    Raises:
        ArchiveError: If the source cannot be read to its end, or holds another number
            of patches than expected.
        ChecksumError: If the source is not the expected file; no shard is written then.
        PatchError: If a patch is damaged or not part of the release, unless it is to be
            set aside.
        QuarantineError: If there are too many of these, or an earlier run has set some
            aside that are to end this one.
        DiskSpaceError: If the result would not fit on the disk.
        JournalError: If the records of the workspace are damaged.
        OptionError: If no patch is left to store.
    """
    get_make_example(get_schema(config, formats))  # fails now if it lacks a package
    index = SpoolIndex(patches.splits)
    with (
        WorkerPool(options.workers, pass_fds=(work.lock,)) as pool,
        Checkpoints(
            work,
            index,
            note_nbytes=options.note_nbytes,
            sync_nbytes=options.sync_nbytes,
        ) as checkpoints,
    ):
        if checkpoints.source is None:
            fill_spool(
                source,
                work,
                checkpoints,
                index,
                formats=formats,
                release=release,
                patches=patches,
                options=options,
            )
        found = checkpoints.source
        assert found is not None
        quarantine = _take_quarantine(found["quarantine"], options)
        plans = plan_shards(index, STATISTICS_SPLIT)
        if not plans:
            work.is_over = True
            raise OptionError(
                f"no patch to store: {source} holds {int(index.read.sum())} patches, "
                "none of them in a split or country that was asked for."
            )
        shards = write_shards(plans, pool, work, formats, config, quiet=options.quiet)
        sums = BandSums()
        for shard in shards:
            sums.add(shard.sums)
        return BuildResult(
            index, shards, sums, found["nbytes"], found["sha256"], quarantine
        )


def _take_quarantine(
    entries: Sequence[Mapping[str, Any]], options: BuildOptions
) -> tuple[BadPatch, ...]:
    """Returns the bad patches, unless one of them was to end the build."""
    patches = tuple(BadPatch(**entry) for entry in entries)
    if patches and options.max_bad is None:
        raise QuarantineError(
            f"{len(patches)} bad patches were set aside by an earlier run, the first "
            f"one {patches[0].patch_id}. Go on with --on_error=quarantine, or begin "
            "anew with --restart."
        )
    return patches
