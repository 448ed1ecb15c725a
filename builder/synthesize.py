"""Writes a SYNTHETIC archive that is laid out like BigEarthNet-S2-v1.0.tar.gz.

Patch ids, splits and file formats are the real ones; pixels and labels are made up
(and so are processing baseline and orbit in `tile_source`, which says SYNTHETIC).
For trying, testing and timing the whole path without the 70 GB download. Figures of
a model trained on it say nothing about Sentinel-2.

What it is made of: each patch is a mosaic of regions, one signature and one texture a
class, so that labels can be learned from pixels. Eight pairs of classes share texture
and visible bands and differ in the infrared alone (`builder/synthesis/classes.py`).

The bytes depend on --num_patches and --seed (and on the versions of numpy, zlib and
GDAL); those of a patch on the seed and its id.

Example:
  python -m builder.synthesize --output=synthetic.tar.gz --num_patches=1000
"""

from __future__ import annotations

import collections
import hashlib
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from absl import flags

from bigearthnet.errors import OptionError
from bigearthnet.release import V1, bands, splits
from bigearthnet.release.patch_ids import PatchId
from bigearthnet.store.outputs import check_output
from bigearthnet.util import command
from bigearthnet.util.progress import Progress
from builder.synthesis import files, geotiff
from builder.synthesis.labels import draw_labels
from builder.synthesis.pixels import draw_pixels

_S2 = V1.archive("s2")

SUFFIX = ".tar.gz"
# Beside the output, until it is complete.
INCOMPLETE_SUFFIX = ".incomplete"

# As the real archive has it, judging by its size.
_ZLIB_LEVEL = 6
# zlib: a window of 15 bits, and 16 for a gzip header (time 0, no name).
_GZIP = 15 + 16
# Patches that may wait for the compressor; bounds the memory.
_MAX_WAITING = 4


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


def choose_patches(table: pa.Table, num_patches: int, seed: int) -> pa.Table:
    """Chooses patches with the table's proportions of splits.

    Args:
        table: Table of the columns of `splits.load_table`.
        num_patches: Number of patches to choose.
        seed: Any integer.

    Returns:
        `num_patches` rows of the table, none twice, shuffled.

    Raises:
        OptionError: If the table does not have so many patches, or none is asked for.
    """
    if not 1 <= num_patches <= table.num_rows:
        raise OptionError(
            f"num_patches: expected 1 to {table.num_rows}, the patch ids of "
            f"{V1.name}, got {num_patches}."
        )
    rng = _make_rng(seed, "order of patches")
    split = pc.index_in(
        table["split"].cast(pa.string()), value_set=pa.array(V1.splits)
    ).to_numpy()
    sizes = np.bincount(split, minlength=len(V1.splits))
    chosen = [
        rng.permutation(np.flatnonzero(split == code))[:share]
        for code, share in enumerate(_apportion(num_patches, sizes))
    ]
    return table.take(pa.array(rng.permutation(np.concatenate(chosen))))


def _apportion(total: int, sizes: npt.NDArray[np.int_]) -> npt.NDArray[np.int_]:
    """Shares a total in proportion to sizes, by largest remainder."""
    shares, remainders = np.divmod(total * sizes, sizes.sum())
    missing = total - int(shares.sum())
    shares[np.argsort(-remainders, kind="stable")[:missing]] += 1
    return np.asarray(shares)


def _make_rng(seed: int, purpose: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed}:{purpose}".encode()).digest()
    return np.random.Generator(np.random.SFC64(int.from_bytes(digest, "big")))


def make_patch(plan: PatchPlan, seed: int) -> dict[str, bytes]:
    """Makes all files of a synthetic patch.

    Args:
        plan: The patch.
        seed: Any integer.

    Returns:
        File name → content, 13 files, in an order drawn for the patch: archives hold
        the files of a folder in the order of its file system, which is none.
    """
    rng = _make_rng(seed, plan.patch_id)
    patch = PatchId.parse(plan.patch_id)
    place = files.find_place(patch, plan.s1_name)
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
    chosen = choose_patches(splits.load_table(V1, "official"), num_patches, seed)
    output.parent.mkdir(parents=True, exist_ok=True)
    incomplete = output.with_name(output.name + INCOMPLETE_SUFFIX)
    try:
        with incomplete.open("wb") as file:
            _compress(_tar_parts(chosen, seed, progress), file)
        os.replace(incomplete, output)
    except BaseException:
        incomplete.unlink(missing_ok=True)
        raise
    return output.stat().st_size


def _tar_parts(
    chosen: pa.Table, seed: int, progress: Callable[[int, int], None]
) -> Iterator[bytes]:
    """Yields the archive before compression, patch by patch."""
    part = files.encode_member(_S2.folder, None)
    nbytes = len(part)
    yield part
    for done, plan in enumerate(_plans(chosen), 1):
        part = _encode_patch(plan, seed)
        nbytes += len(part)
        yield part
        progress(done, nbytes)
    yield files.encode_end(nbytes)


def _plans(chosen: pa.Table) -> Iterator[PatchPlan]:
    for batch in chosen.select(PatchPlan._fields).to_batches(max_chunksize=1000):
        for row in batch.to_pylist():
            yield PatchPlan(**row)


def _encode_patch(plan: PatchPlan, seed: int) -> bytes:
    folder = f"{_S2.folder}/{plan.patch_id}"
    members = [files.encode_member(folder, None)]
    members += [
        files.encode_member(f"{folder}/{name}", content)
        for name, content in make_patch(plan, seed).items()
    ]
    return b"".join(members)


def _compress(parts: Iterable[bytes], file: BinaryIO) -> None:
    """Writes parts as one gzip member; compresses one while the next is made."""
    compressor = zlib.compressobj(_ZLIB_LEVEL, zlib.DEFLATED, _GZIP)
    waiting: collections.deque[Future[bytes]] = collections.deque()
    with ThreadPoolExecutor(max_workers=1) as pool:
        for part in parts:
            waiting.append(pool.submit(compressor.compress, part))
            if len(waiting) > _MAX_WAITING:
                file.write(waiting.popleft().result())
        while waiting:
            file.write(waiting.popleft().result())
    file.write(compressor.flush())


def _define_flags() -> None:
    command.define_path("output", None, f"File *{SUFFIX} to write.", required=True)
    flags.DEFINE_integer(
        "num_patches", None, "Number of synthetic patches.", required=True
    )
    flags.DEFINE_integer("seed", 0, "Seed of patches, labels and pixels.")


def _main() -> None:
    args = flags.FLAGS
    output = args.output
    start = time.monotonic()
    print(
        f"makes up {args.num_patches:,} patches, seed {args.seed}, in {output}",
        file=sys.stderr,
    )
    with Progress("SYNTHETIC", total_patches=args.num_patches) as progress:
        nbytes = write_archive(output, args.num_patches, args.seed, progress.update)
    seconds = time.monotonic() - start
    print(
        f"{args.num_patches} SYNTHETIC patches in {output}, {nbytes} bytes, "
        f"{seconds:.1f} s, {args.num_patches / seconds:.0f} patches a second\n"
        f"next: python -m builder.build --data_dir=data --source={output}"
    )


if __name__ == "__main__":
    command.run(_main, _define_flags)
