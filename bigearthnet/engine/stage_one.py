"""Stage one: reads a source to its end and writes its spool."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bigearthnet.engine import disk
from bigearthnet.engine.job import Job, JobSource
from bigearthnet.engine.options import BuildOptions
from bigearthnet.engine.spool import SpoolWriter
from bigearthnet.engine.spool_index import SpoolIndex
from bigearthnet.engine.spooled import SpooledSource, save_spooled
from bigearthnet.engine.workspace import Workspace
from bigearthnet.errors import ArchiveError, ChecksumError, PatchError
from bigearthnet.release import Archive
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.release.splits import COUNTRIES
from bigearthnet.source import Source, open_source
from bigearthnet.source.listing import check_remote_kind, is_folder
from bigearthnet.source.litter import SYNTHETIC_FILE
from bigearthnet.source.metadata import SYNTHETIC
from bigearthnet.source.pairing import check_pair
from bigearthnet.source.patch import Patch, PlaceCounts, RawPatch, decode_patch
from bigearthnet.store.quarantine import BadPatch, Quarantine
from bigearthnet.store.scenes import encode_scene
from bigearthnet.util.progress import Progress
from bigearthnet.util.remote import RemotePath
from bigearthnet.util.wording import count_of


def fill_spool(
    job: Job,
    number: int,
    work: Workspace,
    index: SpoolIndex,
    patches: PatchIndex,
    wanted: npt.NDArray[np.bool_],
    bad: Sequence[BadPatch],
    first: SpoolIndex | None,
) -> SpooledSource:
    """Reads a source to its end; errors as in `pipeline.encode`.

    Args:
        job: The build.
        number: Which of its sources. The first one says which patches there are; of the
            others, each patch that is wanted must be there.
        work: The workspace; an earlier spool of this source is deleted.
        index: The empty index to fill.
        patches: The release's patches in the wanted split scheme.
        wanted: True for each row of the table that is to be stored, shape (patch,).
        bad: What was set aside of earlier sources.
        first: The index of the first source, or of the store beside; None if the first
            source is read.
    """
    source, options = job.sources[number], job.options
    quarantine = None
    # What lacks beside a finished store is found whole, and ends the build afterwards.
    max_bad = options.max_bad if job.beside is None else len(patches)
    if max_bad is not None:
        quarantine = Quarantine(max_bad, work.quarantine, bad)
    with (
        open_source(source.path, source.archive, options.decompressors) as opened,
        SpoolWriter(work.begin_spool(source.archive.name), index, patches) as writer,
    ):
        disk.check_space(
            opened, work.folder, job, job.config.archives[number:], int(wanted.sum())
        )
        places = spool_patches(opened, writer, wanted, options, quarantine, first)
        found = () if quarantine is None else tuple(quarantine.patches)
        check_source(opened, source, int(index.read.sum()) + len(found))
        writer.sync()
        return save_spooled(work, index, opened, found, places)


def check_kinds(sources: Sequence[JobSource]) -> None:
    """Checks that each source is the archive that it is said to be, by its beginning.

    So that none is read for hours before another turns out to be something else.

    Raises:
        ArchiveError: If one is not, or cannot be read.
    """
    for source in sources:
        if not isinstance(source.path, Path):
            if is_folder(source.path):
                check_remote_kind(source.path, source.archive)
            continue
        with open_source(source.path, source.archive) as opened:
            opened.check_kind()


def spool_patches(
    source: Source,
    writer: SpoolWriter,
    wanted: npt.NDArray[np.bool_],
    options: BuildOptions,
    quarantine: Quarantine | None = None,
    first: SpoolIndex | None = None,
    *,
    is_whole: bool = True,
) -> PlaceCounts:
    """Reads and checks every patch, and spools those to be stored.

    Args:
        source: An opened source.
        writer: Writes the spool.
        wanted: True for each row of the table that is to be stored, shape (patch,).
        options: How many patches to store, and whether to show progress.
        quarantine: Takes the bad patches; None to end with the first.
        first: What the first source holds, or a finished store, which says which
            patches there are, and where they lie; None if this one is it. Of another
            one, all that are wanted must be there, and others are left alone, good or
            bad.
        is_whole: Whether all of it is read, so that what lacks can be told.

    Returns:
        How well the good patches agree about where they lie.

    Raises:
        ArchiveError: If the source cannot be read to its end.
        PatchError: If a patch is damaged, missing or not part of the release, or
            belongs to another one.
        QuarantineError: If there are too many of them to be set aside.
    """
    index, patches, is_first = writer.index, writer.patches, first is None
    limit = options.limit if is_first else None
    aside: set[int] = set()

    def set_aside(error: PatchError, row: int | None, offset: int | None) -> None:
        if row is not None and not is_first and not wanted[row]:
            index.add_read(row)  # it is there, which is counted
            return
        if quarantine is None:
            raise error
        quarantine.add(error, offset)
        if row is not None:
            index.add_bad(row)
            aside.add(row)

    num_stored, places = 0, PlaceCounts()
    nomenclature = patches.release.nomenclature
    with Progress(
        "spool", total_nbytes=source.members.nbytes, quiet=options.quiet
    ) as progress:
        raws = source.patches(patches, on_bad=set_aside)
        for number, raw in enumerate(raws, start=1):
            progress.update(number, source.members.position)
            if not is_first and not wanted[raw.row]:
                index.add_read(raw.row)
                continue
            try:
                patch = _check_pair(
                    raw,
                    decode_patch(raw, source.archive, nomenclature),
                    source.archive,
                    patches,
                    first,
                )
            except PatchError as error:
                set_aside(error, raw.row, raw.offset)
                continue
            is_synthetic = SYNTHETIC in str(patch.fields.get("tile_source"))
            scene = encode_scene(patches.add_times(raw.row, patch.fields))
            index.add_read(raw.row, patch.labels, is_synthetic, scene)
            places.add(patch)
            if wanted[raw.row]:
                writer.append(raw.row, patch)
                num_stored += 1
            if num_stored == limit:
                break
    if SYNTHETIC_FILE in source.members.litter.counts:  # wherever it stood
        index.mark_synthetic()
    if is_whole and not is_first:
        for row in np.flatnonzero(wanted & ~index.stored).tolist():
            if row not in aside:
                set_aside(lacking(source.path, source.archive, patches, row), row, None)
    return places


def _check_pair(
    raw: RawPatch,
    patch: Patch,
    archive: Archive,
    patches: PatchIndex,
    first: SpoolIndex | None,
) -> Patch:
    """Compares a patch with the table, and with the first source; see `check_pair`."""
    labels = None if patches.labels is None else int(patches.labels[raw.row])
    place = None if first is None else first.place(raw.row)
    patch_id = patches.patch_id(raw.row)
    return check_pair(raw.name, patch, archive, labels, place, patch_id)


def lacking(
    path: Path | RemotePath, archive: Archive, patches: PatchIndex, row: int
) -> PatchError:
    """Returns the error for a patch that an earlier source has, and this one lacks."""
    return PatchError(
        f"missing in {path}: expected it, since another source has the patch "
        f"{patches.patch_id(row)}.",
        patch_id=patches.names(archive.ids).name(row),
    )


def choose_rows(patches: PatchIndex, options: BuildOptions) -> npt.NDArray[np.bool_]:
    """Says which patches of a release are to be stored.

    Returns:
        True for each of them, shape (patch,).
    """
    wanted = np.ones(len(patches), np.bool_)
    if not options.include_excluded:
        release = patches.release
        excluded = [release.splits.index(split) for split in release.excluded]
        wanted &= ~np.isin(patches.splits, excluded)
    if options.countries:
        codes = [COUNTRIES.index(country) for country in options.countries]
        wanted &= np.isin(patches.countries, codes)
    return wanted


def check_source(opened: Source, source: JobSource, num_read: int) -> None:
    """Checks that a source which was read to its end is what the job says.

    Raises:
        ArchiveError: If it holds another number of patches.
        ChecksumError: If it is not the published file.
    """
    if source.num_patches not in (None, num_read):
        raise ArchiveError(
            f"{opened.path} is incomplete: expected "
            f"{count_of(source.num_patches, 'patch')}, "
            f"found {num_read:,}. Nothing was built; extract the archive to its end, "
            "or build what is there with python -m builder.build."
        )
    expected = source.digest
    if expected is None:
        return
    found = opened.members.digests.get(expected.algorithm)
    if found not in (None, expected.hexdigest):
        raise ChecksumError(
            f"{opened.path} is not the published file: expected {expected.algorithm} "
            f"{expected.hexdigest}, got {found}. Nothing was built; download it again."
        )
