"""Peer: rasterio → safetensors → LMDB, the format of rico-hdl.

rico-hdl is not a package of the registry, so its format is written here with the
packages that it uses: the key is the patch id, the value one safetensors dict of the
twelve bands as they are; there are no labels. Like rico-hdl it reads an extracted
folder, shares patches out to a process for each core, and commits 512 at a time. The
start of those processes is part of what is timed, as it is of ours.
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import lmdb
import rasterio
from clock import Clock, count_bytes, parse_arguments, report
from patches import BAND_SIZES, find_patch_folders
from safetensors.numpy import save

_PATCHES_PER_COMMIT = 512
# The address space that LMDB may use; the file grows as it is filled.
_MAP_SIZE = 2**40


def encode_patch(folder: Path) -> bytes:
    """Returns the safetensors dict of a patch, bands uint16[row, column]."""
    bands = {}
    for band in BAND_SIZES:
        with rasterio.open(folder / f"{folder.name}_{band}.tif") as dataset:
            bands[band] = dataset.read(1)
    return save(bands)


def write_lmdb(source: Path, target: Path) -> None:
    """Writes all patches of a folder to an LMDB, in the order of their ids."""
    folders = find_patch_folders(source)
    context = multiprocessing.get_context("spawn")
    with (
        lmdb.open(str(target), map_size=_MAP_SIZE) as environment,
        ProcessPoolExecutor(os.cpu_count(), context) as executor,
    ):
        for start in range(0, len(folders), _PATCHES_PER_COMMIT):
            chunk = folders[start : start + _PATCHES_PER_COMMIT]
            with environment.begin(write=True) as transaction:
                for folder, value in zip(
                    chunk, executor.map(encode_patch, chunk), strict=True
                ):
                    transaction.put(folder.name.encode(), value)


def main() -> None:
    """Writes the LMDB."""
    arguments, clock = parse_arguments(), Clock()
    target = arguments.work / "s2.lmdb"
    with clock.running():
        write_lmdb(arguments.source, target)
    with lmdb.open(str(target), readonly=True, lock=False) as environment:
        stored = environment.stat()["entries"]
    report(stored, clock.seconds, count_bytes(target))


if __name__ == "__main__":
    main()
