"""What the table of patches of a store says, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bigearthnet.formats.parquet import open_file
from bigearthnet.release.nomenclature import Nomenclature, remap
from bigearthnet.store import PATCHES, Store


@dataclass(frozen=True)
class PatchTable:
    """Every patch that a build read, by patch id.

    Attributes:
        ids: The patch ids.
        splits: The split of each, shape (patch,), str.
        stored: Whether the store has it, shape (patch,), bool.
        masks: Its class ids in the release's nomenclature, as bits, shape (patch,),
            uint64.
    """

    ids: pa.ChunkedArray
    splits: npt.NDArray[np.object_]
    stored: npt.NDArray[np.bool_]
    masks: npt.NDArray[np.uint64]

    def rows(self, split: str) -> npt.NDArray[np.int64]:
        """Returns the rows of the stored patches of a split."""
        return np.flatnonzero(self.stored & (self.splits == split))


def read_patch_table(store: Store) -> PatchTable:
    """Reads the table of patches of a store.

    Raises:
        ShardError: If it is missing or damaged.
    """
    with open_file(store.folder / PATCHES) as file:
        table = file.read()
    return PatchTable(
        table["patch_id"],
        table["split"].to_numpy(),
        table["stored"].to_numpy(),
        make_masks(table["labels"]),
    )


def make_masks(labels: pa.ChunkedArray) -> npt.NDArray[np.uint64]:
    """Packs the class ids of patches into bits.

    Args:
        labels: Class ids under 64 of each patch, shape (patch,), lists.

    Returns:
        Shape (patch,), uint64.
    """
    lists = labels.combine_chunks()
    bits = np.left_shift(np.uint64(1), lists.flatten().to_numpy().astype(np.uint64))
    masks = np.zeros(len(lists), np.uint64)
    np.bitwise_or.at(masks, lists.value_parent_indices().to_numpy(), bits)
    return masks


def count_classes(
    masks: npt.NDArray[np.uint64], source: Nomenclature, target: Nomenclature
) -> list[int]:
    """Counts the patches with each class.

    Args:
        masks: Class ids of patches as bits, shape (patch,), uint64.
        source: The nomenclature that these are of.
        target: The nomenclature whose classes are counted.

    Returns:
        Patches with each class of the target, in id order.
    """
    bits = [0] * len(target)
    for number, becomes in enumerate(remap(source, target)):
        if becomes is not None:
            bits[becomes] |= 1 << number
    return [int(np.count_nonzero(masks & np.uint64(mask))) for mask in bits]
