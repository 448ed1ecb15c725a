"""Files of made-up patches, written by the libraries that others use for it."""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt
from backports import zstd

# Folder of a patch below its archive's → file name → content.
Files = Mapping[str, Mapping[str, bytes]]


def encode_tiff(image: npt.NDArray[Any], **options: Any) -> bytes:
    """Writes one band as rasterio does.

    Args:
        image: The band, shape (y, x).
        options: Further ones of `rasterio.open`.
    """
    from rasterio.io import MemoryFile

    height, width = image.shape
    shape = {"count": 1, "height": height, "width": width, "dtype": image.dtype.name}
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", **shape, **options) as dataset:
            dataset.write(image, 1)
        content: bytes = memory.read()
        return content


# How maps are compressed.
MAP_OPTIONS = {"compress": "deflate", "predictor": 2}


def write_tar_zst(path: Path, folder: str, files: Files, seed: int = 0) -> Path:
    """Writes a `.tar.zst` without folders, patches in an order of its own.

    Args:
        path: The file.
        folder: Folder at the top.
        files: The patches.
        seed: Seed of their order.
    """
    folders = sorted(files)
    random.Random(seed).shuffle(folders)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for patch in folders:
            for name, content in files[patch].items():
                info = tarfile.TarInfo(f"{folder}/{patch}/{name}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    path.write_bytes(zstd.compress(buffer.getvalue(), 1))
    return path


def write_folder(path: Path, files: Files) -> Path:
    """Writes the folder that an archive would be extracted to."""
    for folder, contents in files.items():
        (path / folder).mkdir(parents=True)
        for name, content in contents.items():
            (path / folder / name).write_bytes(content)
    return path


def write_cut(
    folder: Path, parts: Sequence[Files], write: Callable[..., Path], kind: str
) -> Path:
    """Writes an archive that was cut.

    Args:
        folder: The folder to make.
        parts: The patches of each part.
        write: Writes one archive; see `conftest.write_tar`.
        kind: Its argument.

    Returns:
        The folder.
    """
    folder.mkdir()
    for number, patches in enumerate(parts):
        path = write(folder, patches, kind=kind)
        path.rename(folder / f"s2-{number:05d}-of-{len(parts):05d}.{kind}")
    return folder
