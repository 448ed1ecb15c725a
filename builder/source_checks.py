"""Compares what is stored with the sources that it was built from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bigearthnet.errors import PatchError
from bigearthnet.release import Archive
from bigearthnet.release.bands import Band
from bigearthnet.release.nomenclature import Nomenclature
from bigearthnet.schema.examples import Example, assemble, get_make_example
from bigearthnet.source import open_source
from bigearthnet.source.gdal import explain, quiet_gdal
from bigearthnet.source.georeference import Georeference
from bigearthnet.source.patch import Patch, RawPatch, decode_patch
from bigearthnet.store import QUARANTINE
from bigearthnet.store.quarantine import read_quarantine
from bigearthnet.util.progress import Progress
from builder.findings import Finding, Skipped
from builder.records import RecordIndex
from builder.stored import compare_examples

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

# Raw patch, its archive, and the nomenclature of its labels → patch.
Decode = Callable[[RawPatch, Archive, Nomenclature], Patch]


def check_sources(
    sources: Mapping[str, Path],
    records: RecordIndex,
    decode: Decode,
    *,
    quiet: bool = False,
) -> Iterator[Finding]:
    """Compares every pixel and field of every stored patch with its sources.

    A patch of a source that cannot be read must have been set aside.

    Args:
        sources: Name of each archive → the file or folder to compare with.
        records: What is stored.
        decode: How the files are read.
        quiet: Shows no progress.

    Raises:
        ArchiveError, PatchError: If a source cannot be read.
        ShardError: If a record cannot be read.
    """
    for number, archive in enumerate(records.store.config.archives):
        if archive.name in sources:
            path = sources[archive.name]
            yield from _check_source(path, archive, number, records, decode, quiet)


def _check_source(
    path: Path,
    archive: Archive,
    number: int,
    records: RecordIndex,
    decode: Decode,
    quiet: bool,
) -> Iterator[Finding]:
    nomenclature = records.patches.release.nomenclature
    missing = records.found.copy()
    bad: list[tuple[PatchError, int | None]] = []
    with (
        open_source(path, archive) as opened,
        Progress(
            f"{path.name}", total_nbytes=opened.members.nbytes, quiet=quiet
        ) as progress,
    ):
        raws = opened.patches(
            records.patches, on_bad=lambda error, row, _: bad.append((error, row))
        )
        for count, raw in enumerate(raws, start=1):
            progress.update(count, opened.members.position)
            if not missing[raw.row]:
                if skipped := records.skip(raw.row):
                    yield skipped
                continue
            missing[raw.row] = False
            patch = decode(raw, archive, nomenclature)
            expected = _make_part(records, number, raw.row, archive, patch)
            digest = records.digest(number, expected)
            if np.array_equal(digest, records.digests[number, raw.row]):
                yield None
            else:
                problems = compare_examples(expected, records.read(raw.row))
                yield f"{raw.name}: {'; '.join(problems)}"
    yield from _check_aside(records, bad)
    for row in np.flatnonzero(missing):
        yield f"{records.patches.patch_id(int(row))} is not in the source {path}"


def _check_aside(
    records: RecordIndex, bad: Sequence[tuple[PatchError, int | None]]
) -> Iterator[Finding]:
    """Checks that what cannot be read was set aside, by its own name or its patch's."""
    if QUARANTINE in records.damaged:
        if bad:
            yield Skipped((QUARANTINE,), len(bad))
        return
    aside = {b.patch_id for b in read_quarantine(records.store.folder / QUARANTINE)}
    for error, row in bad:
        names = {error.patch_id}
        if row is not None:
            names.add(records.patches.patch_id(row))
        yield None if names & aside else f"not set aside: {error}"


def _make_part(
    records: RecordIndex, number: int, row: int, archive: Archive, patch: Patch
) -> Example:
    """Makes that part of an example that one archive decides."""
    if number:  # bands, and what no earlier archive says
        names = {feature.name for feature in records.compared[number]}
        own = {n: value for n, value in patch.fields.items() if n in names}
        return {**patch.groups(archive), **own}
    schema = records.compared[0]
    make_example = get_make_example(records.store.config, schema)
    (facts,) = records.patches.describe([row])
    example = make_example(assemble(facts, [(archive, patch)]))
    return {feature.name: example[feature.name] for feature in schema}


def decode_with_rasterio(
    raw: RawPatch, archive: Archive, nomenclature: Nomenclature
) -> Patch:
    """Decodes a patch with rasterio alone; otherwise like `patch.decode_patch`.

    Raises:
        PatchError: If a band or the JSON is damaged, or not what the release holds.
    """
    return decode_patch(raw, archive, nomenclature, read=_read_with_rasterio)


def _read_with_rasterio(
    tiff: bytes, band: Band, dtype: str, patch_id: str, file: str
) -> tuple[bytes, Georeference | None]:
    from rasterio.errors import RasterioError
    from rasterio.io import MemoryFile

    try:
        with (
            quiet_gdal(),
            MemoryFile(tiff) as memory,
            memory.open(driver="GTiff") as dataset,
        ):
            kinds, shape = dataset.dtypes, dataset.shape
            if kinds == (dtype,) and shape == band.shape:
                little_endian = np.dtype(dtype).newbyteorder("<")
                pixels = dataset.read(1).astype(little_endian).tobytes()
                return pixels, _find_place(dataset)
            problem = f"expected {dtype} of {band.shape}, got {kinds} of {shape}"
    except RasterioError as cause:
        problem = f"rasterio cannot read it ({explain(cause)})"
    raise PatchError(problem, patch_id=patch_id, file=file)


def _find_place(dataset: DatasetReader) -> Georeference | None:
    """Returns where a band lies, as rasterio says it."""
    if dataset.transform.is_identity or dataset.crs is None:
        return None
    left, bottom, right, top = dataset.bounds
    return Georeference(dataset.crs.to_epsg(), left, top, right, bottom)
