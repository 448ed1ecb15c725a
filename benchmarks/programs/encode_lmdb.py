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
from collections.abc import Callable, Mapping, Sequence
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


def encode_files(files: Mapping[str, Path]) -> bytes:
    """Returns the safetensors dict of some TIFFs by name, pixels[row, column]."""
    tensors = {}
    for name, path in files.items():
        with rasterio.open(path) as dataset:
            tensors[name] = dataset.read(1)
    return save(tensors)


def encode_patch(folder: Path) -> tuple[str, bytes]:
    """Returns key and value of a patch, bands uint16."""
    files = {band: folder / f"{folder.name}_{band}.tif" for band in BAND_SIZES}
    return folder.name, encode_files(files)


def write_lmdb(
    folders: Sequence[Path], encode: Callable[[Path], tuple[str, bytes]], target: Path
) -> None:
    """Writes what each folder is encoded to into an LMDB, in their order."""
    context = multiprocessing.get_context("spawn")
    with (
        lmdb.open(str(target), map_size=_MAP_SIZE) as environment,
        ProcessPoolExecutor(os.cpu_count(), context) as executor,
    ):
        for start in range(0, len(folders), _PATCHES_PER_COMMIT):
            chunk = folders[start : start + _PATCHES_PER_COMMIT]
            with environment.begin(write=True) as transaction:
                for key, value in executor.map(encode, chunk):
                    transaction.put(key.encode(), value)


def count_entries(target: Path) -> int:
    """Returns how many keys an LMDB has."""
    with lmdb.open(str(target), readonly=True, lock=False) as environment:
        return environment.stat()["entries"]


def main() -> None:
    """Writes the LMDB."""
    arguments, clock = parse_arguments(), Clock()
    target = arguments.work / "s2.lmdb"
    with clock.running():
        write_lmdb(find_patch_folders(arguments.source), encode_patch, target)
    report(count_entries(target), clock.seconds, count_bytes(target))


if __name__ == "__main__":
    main()
