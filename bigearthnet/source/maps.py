"""Codes of land cover, as reference maps are published in → class ids, and labels."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from bigearthnet.errors import PatchError
from bigearthnet.release import Archive
from bigearthnet.release.nomenclature import CLC43, Nomenclature, remap_ids

# Stands for codes that a map must not have; no class id, nor what stands for none.
_UNKNOWN = 254


@functools.cache
def _make_lookup(codes: tuple[tuple[int, int], ...]) -> npt.NDArray[np.uint8]:
    lookup = np.full(2**16, _UNKNOWN, np.uint8)
    for code, stored in codes:
        lookup[code] = stored
    return lookup


def translate(
    pixels: bytes | memoryview, codes: tuple[tuple[int, int], ...]
) -> npt.NDArray[np.uint8]:
    """Turns the codes of a map into what is stored.

    Args:
        pixels: Little-endian uint16 codes.
        codes: Each code, and what is stored in its place.

    Returns:
        Shape (pixel,), uint8.

    Raises:
        ValueError: If a pixel has another code.
    """
    published = np.frombuffer(pixels, "<u2")
    ids = _make_lookup(codes).take(published)
    unknown = ids == _UNKNOWN
    if unknown.any():
        found = np.unique(published[unknown])[:5].tolist()
        raise ValueError(
            "expected codes of CORINE Land Cover, level 3, or 999, got "
            f"{', '.join(map(str, found))}. Check that the archive is complete and of "
            "the right release."
        )
    return ids


def find_labels(
    ids: npt.NDArray[np.uint8], nomenclature: Nomenclature
) -> tuple[int, ...]:
    """Returns the labels that the pixels of a map make.

    Args:
        ids: Class ids of CLC43, others where there is none; shape (pixel,).
        nomenclature: The vocabulary of the labels.

    Returns:
        Ascending class ids of the vocabulary.
    """
    present = np.flatnonzero(np.bincount(ids, minlength=len(CLC43))[: len(CLC43)])
    return _map_ids(tuple(present.tolist()), nomenclature)


@functools.lru_cache(maxsize=4096)
def _map_ids(ids: tuple[int, ...], nomenclature: Nomenclature) -> tuple[int, ...]:
    return remap_ids(ids, CLC43, nomenclature)


def translate_maps(
    name: str,
    archive: Archive,
    pixels: tuple[bytes | memoryview, ...],
    nomenclature: Nomenclature,
) -> tuple[tuple[bytes | memoryview, ...], tuple[int, ...]]:
    """Puts class ids in place of the codes of maps.

    Args:
        name: What the archive calls the patch.
        archive: The archive.
        pixels: The pixels of each band, as published.
        nomenclature: The vocabulary of labels.

    Returns:
        The pixels of each band, as stored; the labels that maps make.

    Raises:
        PatchError: If a map has a code that there is not.
    """
    codes = [group.codes for group in archive.groups for _ in group.bands]
    if not any(codes):
        return pixels, ()
    translated, labels = list(pixels), set[int]()
    for number, known in enumerate(codes):
        if not known:
            continue
        try:
            ids = translate(pixels[number], known)
        except ValueError as cause:
            file = archive.file_names(name)[number]
            raise PatchError(str(cause), patch_id=name, file=file) from None
        translated[number] = ids.data
        labels.update(find_labels(ids, nomenclature))
    return tuple(translated), tuple(sorted(labels))
