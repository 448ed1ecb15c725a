"""Stored multi-hot vectors → vectors of the nomenclature that is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bigearthnet.errors import LabelError, OptionError
from bigearthnet.reading.choice import Choice, read_in_order
from bigearthnet.release import Release
from bigearthnet.release.nomenclature import (
    CLC43,
    NOMENCLATURES,
    Nomenclature,
    remap,
)
from bigearthnet.store import Described, read_labels
from bigearthnet.util.options import look_up

if TYPE_CHECKING:
    import pyarrow as pa
    import tensorflow as tf


def get_nomenclature(
    name: str | None, release: Release, source: Nomenclature | None = None
) -> Nomenclature:
    """Returns a nomenclature by name.

    Args:
        name: The name; None for the one that the release is published in.
        release: The release whose labels are mapped to it.
        source: What is mapped to it; None for the one that it is published in.

    Raises:
        OptionError: If there is none of that name, or no map to it.
    """
    own = {s.nomenclature.name: s.nomenclature for s in release.label_sets}
    known = {**NOMENCLATURES, **own}
    chosen = look_up(known, next(iter(own)) if name is None else name, "labels")
    source = source or release.nomenclature
    if not _has_map(source, chosen):
        named = ", ".join(n for n, one in known.items() if _has_map(source, one))
        groups = [group for archive in release.archives for group in archive.groups]
        maps = [g.name for g in groups if g.is_map and _has_map(CLC43, chosen)]
        advice = f" For pixels, target={maps[0]!r} has it." if maps else ""
        raise OptionError(
            f"labels={name!r} of release {release.name}: no map from {source.name}, "
            f"expected {named}.{advice}"
        )
    return chosen


def _has_map(source: Nomenclature, target: Nomenclature) -> bool:
    try:
        remap(source, target)
    except LabelError:
        return False
    return True


def make_matrix(source: Nomenclature, target: Nomenclature) -> npt.NDArray[np.float32]:
    """Returns which class of `target` each class of `source` becomes.

    Returns:
        Shape (source class, target class), float32: 1 where it does, else 0; a row of
        zeros where a class is dropped.
    """
    matrix = np.zeros((len(source), len(target)), np.float32)
    for row, index in enumerate(remap(source, target)):
        if index is not None:
            matrix[row, index] = 1
    return matrix


def map_labels(
    vectors: tf.Tensor, source: Nomenclature, target: Nomenclature
) -> tf.Tensor:
    """Turns vectors into those of another nomenclature, by union of classes.

    Args:
        vectors: Shape (batch, class) = (batch, len(source)), uint8.
        source: The nomenclature that they are of.
        target: The nomenclature that is wanted.

    Returns:
        Shape (batch, class) = (batch, len(target)), uint8: 1 for each class, else 0.
    """
    import tensorflow as tf

    if target == source:
        return vectors
    matrix = make_matrix(source, target)
    counts = tf.matmul(tf.cast(vectors, tf.float32), matrix)
    return tf.cast(counts > 0, tf.uint8)


def map_vectors(
    vectors: npt.NDArray[np.uint8], source: Nomenclature, target: Nomenclature
) -> npt.NDArray[np.uint8]:
    """Does to arrays of NumPy what `map_labels` does to tensors."""
    if target == source:
        return vectors
    return (vectors @ make_matrix(source, target) > 0).astype(np.uint8)


def drop_unlabelled(store: Described, patches: Choice, target: Nomenclature) -> Choice:
    """Leaves out the patches that have no label in a nomenclature.

    Args:
        store: The store; its table of patches says the labels.
        patches: Some of its patches.
        target: The nomenclature.

    Raises:
        ShardError: If the table of patches is missing or damaged.
    """
    becomes = remap(store.config.release.nomenclature, target)
    dropped = [number for number, new in enumerate(becomes) if new is None]
    if not dropped or all(
        _are_labelled(read_labels(store, split), dropped).all()
        for split in patches.splits
    ):
        return patches
    table = read_in_order(store, patches.splits, ["labels"])
    lists = table["labels"].combine_chunks()
    return patches.keep(_are_labelled(lists, dropped))


def _are_labelled(lists: pa.ListArray, dropped: list[int]) -> npt.NDArray[np.bool_]:
    """Says which patches have another class than those that are dropped."""
    labelled = np.zeros(len(lists), np.bool_)
    kept = ~np.isin(lists.flatten().to_numpy(), dropped)
    labelled[lists.value_parent_indices().to_numpy()[kept]] = True
    return labelled
