"""Writes SYNTHETIC archives that are laid out like those of BigEarthNet.

Patch ids, splits and file formats are the real ones, in v2.0 the labels, too; pixels
are made up, and so are the labels of v1.0 (and processing baseline and orbit in its
`tile_source`, which says SYNTHETIC). For trying, testing and timing the whole path
without the download. Figures of a model trained on it say nothing about Sentinel-2.

What it is made of: each patch is a mosaic of regions, one signature and one texture a
class, so that labels can be learned from pixels. Eight pairs of classes share texture
and visible bands and differ in the infrared alone (`builder/synthesis/classes.py`).

Of v1.0 the archive of Sentinel-2 is made. Of v2.0 all three are, in a folder, their
files in the order of paths, which is another one in Sentinel-1. Its backscatter tells
some classes apart; the reference maps make the labels of the official table. A file at
the top says that they are synthetic.

The bytes depend on --release, --num_patches and --seed (and on the versions of numpy,
zlib or zstd, and GDAL); those of a patch on the seed and its id.

Example:
  python -m builder.synthesize --output=synthetic.tar.gz --num_patches=1000
  python -m builder.synthesize --release=v2.0 --output=synthetic --num_patches=1000
"""

from __future__ import annotations

import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from absl import flags

from bigearthnet.errors import OptionError
from bigearthnet.release import RELEASES, V1, V2, Archive, bands, splits
from bigearthnet.release.patch_ids import PatchId
from bigearthnet.release.patch_index import PatchIndex, load_index
from bigearthnet.source.litter import SYNTHETIC_FILE
from bigearthnet.store.outputs import check_output
from bigearthnet.util import command
from bigearthnet.util.progress import Progress
from bigearthnet.util.wording import count_of
from builder.synthesis import archives, files, geotiff, paired
from builder.synthesis.choice import choose_rows, make_rng
from builder.synthesis.labels import draw_labels
from builder.synthesis.pixels import draw_pixels

_S2 = V1.archive("s2")

SUFFIX = ".tar.gz"

# As the real archives have it; that of v1.0 judging by its size.
_ZLIB_LEVEL = 6
_ZSTD_LEVEL = 6
# zlib: a window of 15 bits, and 16 for a gzip header (time 0, no name).
_GZIP = 15 + 16


class PatchPlan(NamedTuple):
    """What the official table says of a patch, as far as it shapes a synthetic one.

    Attributes:
        patch_id: The patch id.
        s1_name: The Sentinel-1 patch of the same place; names the MGRS tile.
        has_ben19: Whether at least one label is of BEN19.
    """

    patch_id: str
    s1_name: str
    has_ben19: bool


def make_patch(plan: PatchPlan, seed: int) -> dict[str, bytes]:
    """Makes all files of a synthetic patch.

    Args:
        plan: The patch.
        seed: Any integer.

    Returns:
        File name → content, 13 files, in an order drawn for the patch: archives hold
        the files of a folder in the order of its file system, which is none.
    """
    rng = make_rng(seed, plan.patch_id)
    patch = PatchId.parse(plan.patch_id)
    tile = plan.s1_name.split("_")[5]
    place = files.find_place(tile, patch.column, patch.row)
    labels = draw_labels(plan.has_ben19, rng)
    pixels = bands.split(draw_pixels(labels, rng))
    made = {
        _S2.band_file(plan.patch_id, band): geotiff.encode_tiff(array, band, place)
        for name, array in pixels.items()
        for band in [bands.BY_NAME[name]]
    }
    metadata = files.encode_metadata(labels, patch, place)
    made[f"{plan.patch_id}{_S2.metadata_suffix}"] = metadata
    names = list(made)
    return {names[index]: made[names[index]] for index in rng.permutation(len(names))}


def write_archive(
    output: Path,
    num_patches: int,
    seed: int,
    progress: Callable[[int, int], None] = lambda patches, nbytes: None,
) -> int:
    """Writes a synthetic archive; under a temporary name until it is complete.

    Args:
        output: File to write; replaced if it exists. Folders are made if missing.
        num_patches: Number of patches.
        seed: Any integer.
        progress: Called after each patch, with the patches and bytes made so far.

    Returns:
        Size of the archive in bytes.

    Raises:
        OptionError: If the output is not named `*.tar.gz`, is named like the published
            archive, is a folder, or must not be there (`store.outputs.check_output`),
            or the release does not have so many patches.
    """
    check_output(output, "output")
    is_published = output.name in _S2.filenames
    if not output.name.endswith(SUFFIX) or output.is_dir() or is_published:
        raise OptionError(
            f"output: expected the name of a file that ends in {SUFFIX}, and not that "
            f"of the published archive, got {output}."
        )
    rows = choose_rows(load_index(V1, "official"), num_patches, seed)
    first = files.encode_member(_S2.folder, None)
    parts = archives.tar_patches(
        first, _make_patches(rows, seed), progress, has_folders=True
    )
    with archives.incomplete([output]) as (unfinished,), unfinished.open("wb") as file:
        compressor = zlib.compressobj(_ZLIB_LEVEL, zlib.DEFLATED, _GZIP)
        archives.compress(parts, compressor, file)
    return output.stat().st_size


def _make_patches(
    rows: npt.NDArray[np.intp], seed: int
) -> Iterator[tuple[str, dict[str, bytes]]]:
    table = splits.load_table(V1, "official").select(PatchPlan._fields).take(rows)
    for batch in table.to_batches(max_chunksize=1000):
        for row in batch.to_pylist():
            plan = PatchPlan(**row)
            yield f"{_S2.folder}/{plan.patch_id}", make_patch(plan, seed)


def write_archives(
    output: Path, num_patches: int, seed: int, *, quiet: bool = False
) -> dict[str, Path]:
    """Writes the synthetic archives of v2.0, each of one zstd frame.

    They get their names when all are complete.

    Args:
        output: Folder to write them to; made if missing.
        num_patches: Number of patches.
        seed: Any integer.
        quiet: Shows no progress.

    Returns:
        Name of each archive → its file, `synthetic-<name>.tar.zst`.

    Raises:
        OptionError: If the output is a file, or must not be there
            (`store.outputs.check_output`), or v2.0 does not have so many patches.
    """
    check_output(output, "output")
    if output.exists() and not output.is_dir():
        raise OptionError(f"output: expected a folder for the archives, got {output}.")
    index = load_index(V2, "official")
    rows = choose_rows(index, num_patches, seed)
    paths = {a.name: output / f"synthetic-{a.name}.tar.zst" for a in V2.archives}
    with archives.incomplete(paths.values()) as unfinished:
        for archive, path in zip(V2.archives, unfinished, strict=True):
            title = f"SYNTHETIC {archive.name}"
            with Progress(title, total_patches=num_patches, quiet=quiet) as progress:
                _write_paired(path, archive, index, rows, seed, progress.update)
    return paths


def _write_paired(
    path: Path,
    archive: Archive,
    index: PatchIndex,
    rows: npt.NDArray[np.intp],
    seed: int,
    progress: Callable[[int, int], None],
) -> None:
    """Writes one archive of v2.0."""
    try:
        from compression import zstd  # of Python 3.14
    except ImportError:
        from backports import zstd

    first = files.encode_member(
        f"{archive.folder}/{SYNTHETIC_FILE}", b"made by builder.synthesize\n"
    )
    patches = (
        (folder, paired.make_files(archive, index, row, seed))
        for folder, row in paired.list_folders(archive, index, rows)
    )
    parts = archives.tar_patches(first, patches, progress, has_folders=False)
    # The program zstd writes a checksum, too.
    chosen = zstd.CompressionParameter
    options = {chosen.compression_level: _ZSTD_LEVEL, chosen.checksum_flag: 1}
    with path.open("wb") as file:
        archives.compress(parts, zstd.ZstdCompressor(options=options), file)


def _define_flags() -> None:
    names = [release.name for release in RELEASES]
    command.define_choice("release", V1.name, names, "Release to make patches of.")
    command.define_path(
        "output",
        None,
        f"File *{SUFFIX} to write; of {V2.name} a folder for its archives.",
        required=True,
    )
    flags.DEFINE_integer(
        "num_patches", None, "Number of synthetic patches.", required=True
    )
    flags.DEFINE_integer("seed", 0, "Seed of patches, labels and pixels.")


def _main() -> None:
    args = flags.FLAGS
    output, count = args.output, args.num_patches
    start = time.monotonic()
    print(
        f"makes up {count_of(count, 'patch')}, seed {args.seed}, in {output}",
        file=sys.stderr,
    )
    if args.release == V2.name:
        paths = write_archives(output, count, args.seed)
        nbytes = sum(path.stat().st_size for path in paths.values())
        config = f" --config={V2.choices[0].name}"
    else:
        with Progress("SYNTHETIC", total_patches=count) as progress:
            nbytes = write_archive(output, count, args.seed, progress.update)
        config = ""
    seconds = time.monotonic() - start
    print(
        f"{count_of(count, 'SYNTHETIC patch')} in {output}, {nbytes} bytes, "
        f"{seconds:.1f} s, {count / seconds:.0f} patches a second\n"
        f"next: python -m builder.build --data_dir=data --source={output}{config}"
    )


if __name__ == "__main__":
    command.run(_main, _define_flags)
