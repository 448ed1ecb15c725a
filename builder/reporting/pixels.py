"""One pass over the shards of a store: histograms of bands, and pictures of patches."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bigearthnet.reading import open_shards
from bigearthnet.reading.choice import choose_patches, list_shards
from bigearthnet.release.bands import BandGroup, order_bands
from bigearthnet.report.composites import KINDS, ReferenceMap, list_kinds, make_picture
from bigearthnet.schema.rgb import decode_image
from bigearthnet.store import Store
from bigearthnet.util.progress import Progress

# Every second row and column is counted: a fourth of the pixels.
STEP_PX = 2
# Few, so that what is read is still in the processor's cache when it is counted.
_PATCHES_AT_ONCE = 50
# Edges of the first and the last bin, and how wide one is: digital numbers, decibels.
_INTEGERS, _FLOATS = (0.0, 10_000.0, 100.0), (-50.0, 20.0, 0.5)
# Of Pillow's scale; a picture takes 4 kB.
_QUALITY = 80


@dataclass(frozen=True)
class Histogram:
    """How often values of a band are in each of some bins.

    Attributes:
        edges: Edges of the bins, in the unit of the pixels, shape (bin + 1,).
        counts: Pixels of each, shape (bin,); the first and the last also have what
            lies beyond.
    """

    edges: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]


@dataclass
class Seen:
    """What a pass found.

    Attributes:
        histograms: Band name → its histogram, in ascending wavelength.
        pictures: Patch id → kind of picture → picture, as JPEG or PNG.
        num_patches: Patches that were read.
    """

    histograms: dict[str, Histogram]
    pictures: dict[str, dict[str, bytes]]
    num_patches: int = 0


def read_pixels(store: Store, wanted: Collection[str], *, quiet: bool = False) -> Seen:
    """Reads a store once, from its first shard to its last.

    Args:
        store: The store.
        wanted: Ids of the patches to make pictures of.
        quiet: Shows no progress.

    Raises:
        ShardError: If a shard is damaged.
        StoreError: If one is missing.
    """
    groups = [g for g in store.config.groups if not store.config.choice.is_rgb]
    measured = [group for group in groups if not group.is_map]
    counted = {b.name: _make_counts(g) for g in measured for b in g.bands}
    seen = Seen({}, {})
    reader = open_shards(*list_shards(store, choose_patches(store, "all")))
    stored = [group.name for group in groups] or ["image"]
    progress = Progress("read", total_patches=len(reader), quiet=quiet)
    pictures: dict[str, Future[dict[str, bytes]]] = {}
    tasks: list[Future[None]] = []
    with progress, ThreadPoolExecutor() as pool:
        for batch in reader.batches(_PATCHES_AT_ONCE, ["patch_id", *stored]):
            # Those of the batch before, which were counted while this one was read.
            for task in tasks:
                task.result()
            tasks = [
                pool.submit(_count, batch[group.name][:, i], group, counted[band.name])
                for group in measured
                for i, band in enumerate(group.bands)
            ]
            pictures |= {
                patch_id: pool.submit(_make_pictures, groups, batch, number)
                for number, patch_id in enumerate(batch["patch_id"])
                if patch_id in wanted
            }
            seen.num_patches += len(batch["patch_id"])
            progress.add(
                len(batch["patch_id"]), sum(batch[name].nbytes for name in stored)
            )
        for task in tasks:
            task.result()
    seen.pictures |= {name: made.result() for name, made in pictures.items()}
    kinds = {band.name: group for group in measured for band in group.bands}
    for band in order_bands(measured):
        seen.histograms[band.name] = _merge(counted[band.name], kinds[band.name])
    return seen


def _is_float(group: BandGroup) -> bool:
    return "float" in group.dtype


def _make_edges(group: BandGroup) -> npt.NDArray[np.float64]:
    low, high, width = _FLOATS if _is_float(group) else _INTEGERS
    return np.arange(low, high + width, width)


def _make_counts(group: BandGroup) -> npt.NDArray[np.int64]:
    """Returns zeros for the bins of floats; for every single integer, of integers."""
    return np.zeros(
        len(_make_edges(group)) - 1 if _is_float(group) else 2**16, np.int64
    )


def _count(
    pixels: npt.NDArray[Any], group: BandGroup, counts: npt.NDArray[np.int64]
) -> None:
    """Counts a fourth of the pixels of a band, shape (patch, y, x)."""
    part = pixels[:, ::STEP_PX, ::STEP_PX]
    if _is_float(group):
        low, _, width = _FLOATS
        part = ((part - low) / width).clip(0, len(counts) - 1)
    counts += np.bincount(part.astype(np.intp).ravel(), minlength=len(counts))


def _merge(counts: npt.NDArray[np.int64], group: BandGroup) -> Histogram:
    """Makes a histogram of what was counted."""
    edges = _make_edges(group)
    if not _is_float(group):
        counts = np.add.reduceat(counts, edges[:-1].astype(np.intp))
    return Histogram(edges, counts)


def _make_pictures(
    groups: Collection[BandGroup], batch: Mapping[str, Any], number: int
) -> dict[str, bytes]:
    if not groups:
        return {"true_color": _encode(decode_image(batch["image"][number]), "JPEG")}
    bands = {
        band.name: batch[group.name][number, index]
        for group in groups
        for index, band in enumerate(group.bands)
    }
    return {
        name: _encode(
            make_picture(bands, name),
            "PNG" if isinstance(KINDS[name], ReferenceMap) else "JPEG",
        )
        for name in list_kinds(bands)
    }


def _encode(picture: npt.NDArray[np.uint8], form: str) -> bytes:
    """Encodes a picture small: maps exactly, others as people see them."""
    from PIL import Image

    buffer = io.BytesIO()
    image = Image.fromarray(picture)
    if form == "PNG":
        image = image.quantize(64)
    image.save(buffer, format=form, quality=_QUALITY, optimize=True)
    return buffer.getvalue()
