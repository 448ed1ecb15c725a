"""Both stages, one after the other: a source → the shards of one configuration."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bigearthnet.archive import Source, open_source
from bigearthnet.config import Config
from bigearthnet.encoding import disk
from bigearthnet.encoding.progress import Progress
from bigearthnet.encoding.shards import (
    Buckets,
    ShardInfo,
    ShardPlan,
    get_schema,
    plan_shards,
)
from bigearthnet.encoding.spool import SpoolIndex, SpoolWriter
from bigearthnet.encoding.statistics import BandSums
from bigearthnet.encoding.workers import WorkerPool
from bigearthnet.errors import ArchiveError, ChecksumError, OptionError
from bigearthnet.examples import get_make_example
from bigearthnet.metadata import SYNTHETIC
from bigearthnet.patch import decode_patch
from bigearthnet.patch_index import PatchIndex
from bigearthnet.release import Release
from bigearthnet.splits import COUNTRIES, EXCLUDED

# The split whose statistics are stored.
STATISTICS_SPLIT = "train"

# More processes than this wait for the disk.
_MAX_WORKERS = 8


def count_workers() -> int:
    """Returns how many processes stage two takes if nobody says: up to eight."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), _MAX_WORKERS)
    return min(os.cpu_count() or 1, _MAX_WORKERS)


@dataclass(frozen=True)
class BuildOptions:
    """What to store of a source, and how.

    Attributes:
        include_excluded: Stores the patches with snow, cloud or without a label of the
            scheme, too, as split `excluded`.
        limit: Stops after as many stored patches; None for all.
        countries: Stores patches of these countries only; empty for all.
        workers: Processes of stage two; see `count_workers` for the default.
        expected_sha256: Checksum the source file must have; None for any.
        expected_patches: Patches the source must hold; None for any number.
        quiet: Shows no progress.
    """

    include_excluded: bool = False
    limit: int | None = None
    countries: tuple[str, ...] = ()
    workers: int = field(default_factory=lambda: count_workers())
    expected_sha256: str | None = None
    expected_patches: int | None = None
    quiet: bool = False

    def __post_init__(self) -> None:
        """Checks the options.

        Raises:
            OptionError: If one of them has no meaning.
        """
        if self.limit is not None and self.limit < 1:
            raise OptionError(f"limit: expected at least 1, got {self.limit}.")
        if self.workers < 1:
            raise OptionError(f"workers: expected at least 1, got {self.workers}.")
        for country in self.countries:
            if country not in COUNTRIES:
                raise OptionError(
                    f"unknown country: expected some of {', '.join(COUNTRIES)}, got "
                    f"{country!r}."
                )


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
    """

    index: SpoolIndex
    shards: tuple[ShardInfo, ...]
    sums: BandSums
    source_nbytes: int | None
    source_sha256: str | None


def encode(
    source: Path | str,
    outputs: Mapping[str, Path],
    *,
    config: Config,
    release: Release,
    patches: PatchIndex,
    options: BuildOptions,
) -> BuildResult:
    """Builds the shards of one configuration in one pass over a source.

    Args:
        source: An archive or a folder; see `archive.open_source`.
        outputs: Name of each format to write → existing folder that gets its shards.
            The spool lives in the first of them until the shards are written. After an
            error they hold nothing that counts.
        config: What to store.
        release: What the source is.
        patches: The release's patches in the config's split scheme.
        options: Selection and workers.

    Raises:
        ArchiveError: If the source cannot be read to its end, or holds another number
            of patches than expected.
        ChecksumError: If the source is not the expected file; no shard is written then.
        PatchError: If a patch is damaged or not part of the release.
        DiskSpaceError: If the result would not fit on the disk.
        OptionError: If no patch is left to store.
    """
    get_make_example(get_schema(config, outputs))  # fails now if it lacks a package
    output = next(iter(outputs.values()))
    with (
        open_source(source) as opened,
        WorkerPool(options.workers) as pool,
        _spool_folder(output) as spool,
    ):
        wanted = choose_rows(patches, options)
        most = min(int(wanted.sum()), options.limit or len(wanted))
        disk.check_space(
            opened,
            output,
            release=release,
            formats=list(outputs),
            most_patches=most,
            workers=options.workers,
        )
        index = spool_patches(
            opened,
            spool,
            release=release,
            patches=patches,
            wanted=wanted,
            limit=options.limit,
            quiet=options.quiet,
        )
        _check_source(opened, index, options)
        plans = plan_shards(index, STATISTICS_SPLIT)
        if not plans:
            raise OptionError(
                f"no patch to store: {source} holds {int(index.read.sum())} patches, "
                "none of them in a split or country that was asked for."
            )
        shards = _write_shards(plans, pool, spool, outputs, config, options.quiet)
        sums = BandSums()
        for shard in shards:
            sums.add(shard.sums)
        return BuildResult(index, shards, sums, opened.nbytes, opened.sha256)


def spool_patches(
    source: Source,
    spool: Path,
    *,
    release: Release,
    patches: PatchIndex,
    wanted: npt.NDArray[np.bool_],
    limit: int | None = None,
    quiet: bool = False,
) -> SpoolIndex:
    """Runs stage one: reads and checks every patch, and spools those to be stored.

    Args:
        source: An opened source.
        spool: Existing, empty folder that gets the buckets.
        release: What the source is.
        patches: The release's patches in the wanted split scheme.
        wanted: True for each row of the table that is to be stored, shape (patch,).
        limit: Stops after as many stored patches; None for all.
        quiet: Shows no progress.

    Returns:
        The index of the spool.

    Raises:
        ArchiveError: If the source cannot be read to its end.
        PatchError: If a patch is damaged or not part of the release.
    """
    index = SpoolIndex(patches.splits)
    num_stored = 0
    with (
        Progress("spool", total_nbytes=source.nbytes, quiet=quiet) as progress,
        SpoolWriter(spool, index) as writer,
    ):
        for number, raw in enumerate(source.patches(patches), start=1):
            patch = decode_patch(raw, release.nomenclature)
            index.add_read(raw.row, patch.metadata.labels)
            index.num_synthetic += SYNTHETIC in patch.metadata.tile_source
            if wanted[raw.row]:
                writer.append(raw.row, patch, patches.facts(raw.row))
                num_stored += 1
            progress.update(number, source.position)
            if num_stored == limit:
                break
    return index


def _write_shards(
    plans: list[ShardPlan],
    pool: WorkerPool,
    spool: Path,
    outputs: Mapping[str, Path],
    config: Config,
    quiet: bool,
) -> tuple[ShardInfo, ...]:
    """Runs stage two; returns what was written in the order of `plans`."""
    buckets, written = Buckets(plans, spool), {}
    total = sum(len(plan.records) for plan in plans)
    with Progress("shards", total_patches=total, quiet=quiet) as progress:
        for plan, shard in pool.write_shards(
            plans,
            spool=spool,
            outputs=outputs,
            config=config,
            on_progress=progress.add,
        ):
            buckets.release(plan)
            written[plan.name] = shard
    return tuple(written[plan.name] for plan in plans)


def choose_rows(patches: PatchIndex, options: BuildOptions) -> npt.NDArray[np.bool_]:
    """Says which patches of a release are to be stored.

    Returns:
        True for each of them, shape (patch,).
    """
    wanted = np.ones(len(patches), np.bool_)
    if not options.include_excluded:
        wanted &= patches.splits != EXCLUDED
    if options.countries:
        codes = [COUNTRIES.index(country) for country in options.countries]
        wanted &= np.isin(patches.countries, codes)
    return wanted


def _check_source(source: Source, index: SpoolIndex, options: BuildOptions) -> None:
    num_read = int(index.read.sum())
    if options.expected_patches not in (None, num_read):
        raise ArchiveError(
            f"{source.path} is incomplete: expected {options.expected_patches:,} "
            f"patches, found {num_read:,}. Nothing was built; extract the archive to "
            "its end, or build what is there with python -m builder.build."
        )
    expected = options.expected_sha256
    if expected is not None and source.sha256 not in (None, expected):
        raise ChecksumError(
            f"{source.path} is not the published file: expected sha256 {expected}, got "
            f"{source.sha256}. Nothing was built; download it again."
        )


@contextmanager
def _spool_folder(output: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="spool.", dir=output) as folder:
        yield Path(folder)
