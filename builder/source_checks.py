"""Compares what is stored with the source that it was built from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from bigearthnet.errors import PatchError
from bigearthnet.release import Release
from bigearthnet.release.bands import GROUPS, Band
from bigearthnet.release.nomenclature import Nomenclature
from bigearthnet.schema.examples import get_make_example
from bigearthnet.source import open_source
from bigearthnet.source.metadata import parse_metadata
from bigearthnet.source.patch import Patch, RawPatch, band_file, metadata_file
from bigearthnet.store import QUARANTINE
from bigearthnet.store.quarantine import read_quarantine
from bigearthnet.util.progress import Progress
from builder.records import RecordIndex
from builder.stored import compare_examples


def check_source(
    source: Path,
    records: RecordIndex,
    release: Release,
    decode: Callable[..., Patch],
    *,
    quiet: bool = False,
) -> Iterator[str | None]:
    """Compares every pixel and field of every stored patch with the source.

    A patch of the source that cannot be read must have been set aside.

    Raises:
        ArchiveError, PatchError: If the source cannot be read.
        ShardError: If a record cannot be read.
    """
    make_example = get_make_example(records.compared)
    missing = records.found.copy()
    aside = {bad.patch_id for bad in read_quarantine(records.store.folder / QUARANTINE)}
    bad: list[PatchError] = []
    with (
        open_source(source) as opened,
        Progress(f"{source.name}", total_nbytes=opened.nbytes, quiet=quiet) as progress,
    ):
        raws = opened.patches(
            records.patches, on_bad=lambda error, *_: bad.append(error)
        )
        for number, raw in enumerate(raws, start=1):
            progress.update(number, opened.position)
            if not missing[raw.row]:
                continue
            missing[raw.row] = False
            patch = decode(raw, release.nomenclature)
            expected = make_example(patch, records.patches.facts(raw.row))
            if np.array_equal(records.digest(expected), records.digests[raw.row]):
                yield None
            else:
                problems = compare_examples(expected, records.read(raw.row))
                yield f"{raw.patch_id}: {'; '.join(problems)}"
    for error in bad:
        yield None if error.patch_id in aside else f"not set aside: {error}"
    for row in np.flatnonzero(missing):
        yield f"{records.patches.patch_id(int(row))} is not in the source"


def decode_with_rasterio(raw: RawPatch, nomenclature: Nomenclature) -> Patch:
    """Decodes a patch with rasterio alone; as `patch.decode_patch` otherwise.

    Raises:
        PatchError: If a band or the JSON is damaged, or not what the release holds.
    """
    bands = [band for group in GROUPS for band in group.bands]
    pixels = [_read_with_rasterio(raw, band) for band in bands]
    file = metadata_file(raw.patch_id)
    metadata = parse_metadata(
        raw.files[file], patch_id=raw.patch_id, file=file, nomenclature=nomenclature
    )
    return Patch(raw.patch_id, metadata, tuple(pixels))


def _read_with_rasterio(raw: RawPatch, band: Band) -> bytes:
    from rasterio.errors import RasterioError
    from rasterio.io import MemoryFile

    file = band_file(raw.patch_id, band.name)
    try:
        with (
            MemoryFile(raw.files[file]) as memory,
            memory.open(driver="GTiff") as dataset,
        ):
            kinds, shape = dataset.dtypes, dataset.shape
            if kinds == ("uint16",) and shape == band.shape:
                return bytes(dataset.read(1).astype("<u2").tobytes())
            problem = f"expected uint16 of {band.shape}, got {kinds} of {shape}"
    except RasterioError as cause:
        problem = f"rasterio cannot read it ({str(cause)[:80]})"
    raise PatchError(problem, patch_id=raw.patch_id, file=file)
