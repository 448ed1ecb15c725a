"""Stage one: reads a source to its end and writes its spool."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bigearthnet.engine import disk
from bigearthnet.engine.options import BuildOptions
from bigearthnet.engine.spool import SpoolWriter
from bigearthnet.engine.spool_index import SpoolIndex
from bigearthnet.engine.spooled import SpooledSource, save_spooled
from bigearthnet.engine.workspace import Workspace
from bigearthnet.errors import ArchiveError, ChecksumError, PatchError
from bigearthnet.release import Release
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.release.splits import COUNTRIES, EXCLUDED
from bigearthnet.source import Source, open_source
from bigearthnet.source.metadata import SYNTHETIC
from bigearthnet.source.patch import decode_patch
from bigearthnet.store.quarantine import Quarantine
from bigearthnet.util.progress import Progress


def fill_spool(
    source: Path | str,
    work: Workspace,
    index: SpoolIndex,
    lane: str,
    *,
    formats: Sequence[str],
    release: Release,
    patches: PatchIndex,
    options: BuildOptions,
) -> SpooledSource:
    """Runs stage one from its start.

    Args:
        source: As the other arguments and the errors, see `pipeline.encode`.
        work: The workspace; an earlier spool of this source is deleted.
        index: The empty index to fill.
        lane: Which of the sources of the build it is.
        formats: Names of the formats that are written later.
        release: What the source is.
        patches: The release's patches in the wanted split scheme.
        options: Selection and workers.
    """
    wanted = choose_rows(patches, options)
    quarantine = None if options.max_bad is None else Quarantine(options.max_bad)
    with (
        open_source(source) as opened,
        SpoolWriter(work.begin_spool(lane), index) as writer,
    ):
        disk.check_space(
            opened,
            work.folder,
            release=release,
            formats=formats,
            most_patches=min(int(wanted.sum()), options.limit or len(wanted)),
            workers=options.workers,
        )
        spool_patches(
            opened,
            writer,
            index,
            release=release,
            patches=patches,
            wanted=wanted,
            limit=options.limit,
            quarantine=quarantine,
            quiet=options.quiet,
        )
        bad = () if quarantine is None else tuple(quarantine.patches)
        _check_source(opened, int(index.read.sum()) + len(bad), options)
        writer.sync()
        return save_spooled(
            work,
            index,
            lane=lane,
            nbytes=opened.nbytes,
            sha256=opened.sha256,
            quarantine=bad,
        )


def spool_patches(
    source: Source,
    writer: SpoolWriter,
    index: SpoolIndex,
    *,
    release: Release,
    patches: PatchIndex,
    wanted: npt.NDArray[np.bool_],
    limit: int | None = None,
    quarantine: Quarantine | None = None,
    quiet: bool = False,
) -> None:
    """Reads and checks every patch, and spools those to be stored.

    Args:
        source: An opened source.
        writer: Writes the spool.
        index: The writer's index.
        release: What the source is.
        patches: The release's patches in the wanted split scheme.
        wanted: True for each row of the table that is to be stored, shape (patch,).
        limit: Stops after as many stored patches; None for all.
        quarantine: Takes the bad patches; None to end with the first.
        quiet: Shows no progress.

    Raises:
        ArchiveError: If the source cannot be read to its end.
        PatchError: If a patch is damaged or not part of the release.
        QuarantineError: If there are too many of them to be set aside.
    """

    def set_aside(error: PatchError, row: int | None, offset: int | None) -> None:
        if quarantine is None:
            raise error
        quarantine.add(error, offset)
        if row is not None:
            index.add_bad(row)

    num_stored = 0
    with Progress("spool", total_nbytes=source.nbytes, quiet=quiet) as progress:
        raws = source.patches(patches, on_bad=set_aside)
        for number, raw in enumerate(raws, start=1):
            progress.update(number, source.position)
            try:
                patch = decode_patch(raw, release.nomenclature)
            except PatchError as error:
                set_aside(error, raw.row, raw.offset)
                continue
            is_synthetic = SYNTHETIC in patch.metadata.tile_source
            index.add_read(raw.row, patch.metadata.labels, is_synthetic)
            if wanted[raw.row]:
                writer.append(raw.row, patch, patches.facts(raw.row))
                num_stored += 1
            if num_stored == limit:
                break


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


def _check_source(source: Source, num_read: int, options: BuildOptions) -> None:
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
