"""One pass over the shards of a store: histograms of bands, and pictures of patches."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
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
_PATCHES_AT_ONCE = 100
# Edges of the first and the last bin, and how wide one is: digital numbers, decibels.
_INTEGERS, _FLOATS = (0.0, 10_000.0, 100.0), (-50.0, 20.0, 0.5)
# Of Pillow's scale; a picture takes 4 kB.
_QUALITY = 80


@dataclass
class Histogram:
    """How often values of a band are in each of some bins.

    Attributes:
        edges: Edges of the bins, in the unit of the pixels, shape (bin + 1,).
        counts: Pixels of each, shape (bin,); the first and the last also have what
            lies beyond.
    """

    edges: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.counts = np.zeros(len(self.edges) - 1, np.int64)


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
    found = {band.name: Histogram(_make_edges(g)) for g in measured for band in g.bands}
    names = [band.name for band in order_bands(measured)]
    seen = Seen({name: found[name] for name in names}, {})
    reader = open_shards(*list_shards(store, choose_patches(store, "all")))
    stored = [group.name for group in groups] or ["image"]
    with Progress("read", total_patches=len(reader), quiet=quiet) as progress:
        for batch in reader.batches(_PATCHES_AT_ONCE, ["patch_id", *stored]):
            for group in measured:
                _count(batch[group.name], group, seen.histograms)
            for number, patch_id in enumerate(batch["patch_id"]):
                if patch_id in wanted:
                    seen.pictures[patch_id] = _make_pictures(groups, batch, number)
            count = len(batch["patch_id"])
            seen.num_patches += count
            progress.add(count, sum(batch[name].nbytes for name in stored))
    return seen


def _make_edges(group: BandGroup) -> npt.NDArray[np.float64]:
    low, high, width = _FLOATS if "float" in group.dtype else _INTEGERS
    return np.arange(low, high + width, width)


# Digital number → bin, shape (65536,), uint8.
_BINS = np.minimum(
    np.arange(2**16) // int(_INTEGERS[2]), int(_INTEGERS[1] // _INTEGERS[2]) - 1
).astype(np.uint8)


def _count(
    pixels: npt.NDArray[Any], group: BandGroup, histograms: Mapping[str, Histogram]
) -> None:
    """Counts a fourth of the pixels of a batch, shape (patch, band, y, x)."""
    for number, band in enumerate(group.bands):
        part = pixels[:, number, ::STEP_PX, ::STEP_PX]
        counts = histograms[band.name].counts
        if "float" in group.dtype:
            low, _, width = _FLOATS
            bins = ((part - low) / width).clip(0, len(counts) - 1).astype(np.uint8)
        else:
            bins = _BINS.take(part)
        counts += np.bincount(bins.ravel(), minlength=len(counts))


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
