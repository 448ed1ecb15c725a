"""Runs both stages: a source → the shards of one configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bigearthnet.engine.options import BuildOptions
from bigearthnet.engine.shards import ShardInfo, get_schema, plan_shards
from bigearthnet.engine.spool_index import SpoolIndex
from bigearthnet.engine.spooled import load_spooled
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

# The only source of a build, so far; see `SpooledSource.lane`.
_LANE = "s2"


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

    What an earlier run has finished is not done again: a source that was spooled to its
    end, and each shard that was written.

    Args:
        source: An archive or a folder; see `archive.open_source`.
        work: The workspace. The shards of each format are in `work.output(format)`
            afterwards.
        formats: Names of the formats to write.
        config: What to store.
        release: What the source is.
        patches: The release's patches in the config's split scheme.
        options: Selection and workers.

    Raises:
        ArchiveError: If the source cannot be read to its end, or holds another number
            of patches than expected.
        ChecksumError: If the source is not the expected file; no shard is written then.
        PatchError: If a patch is damaged or not part of the release, and
            `options.max_bad` is None.
        QuarantineError: If there are more such patches than `options.max_bad`, or it is
            None and an earlier run has set some aside.
        DiskSpaceError: If the result would not fit on the disk.
        JournalError: If the index or a bucket of the spool is damaged or missing.
        OptionError: If no patch is left to store.
    """
    get_make_example(get_schema(config, formats))  # fails now if it lacks a package
    index = SpoolIndex(patches.splits)
    with WorkerPool(options.workers, pass_fds=(work.lock,)) as pool:
        spooled = load_spooled(work, index, _LANE) or fill_spool(
            source,
            work,
            index,
            _LANE,
            formats=formats,
            release=release,
            patches=patches,
            options=options,
        )
        _check_quarantine(spooled.quarantine, options)
        plans = plan_shards(index, STATISTICS_SPLIT)
        if not plans:
            work.is_over = True
            raise OptionError(
                f"no patch to store: {source} holds {int(index.read.sum())} patches, "
                "none of them in a split or country that was asked for."
            )
        shards = write_shards(
            plans,
            pool,
            work,
            work.spool(_LANE),
            formats,
            config,
            quiet=options.quiet,
        )
        sums = BandSums()
        for shard in shards:
            sums.add(shard.sums)
        return BuildResult(
            index, shards, sums, spooled.nbytes, spooled.sha256, spooled.quarantine
        )


def _check_quarantine(patches: Sequence[BadPatch], options: BuildOptions) -> None:
    if patches and options.max_bad is None:
        raise QuarantineError(
            f"an earlier run set {len(patches)} bad patches aside, the first one "
            f"{patches[0].patch_id}. Resume the build with --on_error=quarantine, or "
            "build again with --restart."
        )
