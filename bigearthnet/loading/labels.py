"""Stored multi-hot vectors → vectors of the nomenclature that is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bigearthnet.release.nomenclature import CLC43, NOMENCLATURES, Nomenclature, remap
from bigearthnet.store import Store, read_labels
from bigearthnet.util.options import look_up

if TYPE_CHECKING:
    import tensorflow as tf

# The stored feature that all vectors are made of.
STORED = "multi_hot_43"


def get_nomenclature(name: str) -> Nomenclature:
    """Returns a nomenclature by name.

    Raises:
        OptionError: If there is none of that name.
    """
    return look_up(NOMENCLATURES, name, "labels")


def make_matrix(target: Nomenclature) -> npt.NDArray[np.float32]:
    """Returns which class of `target` each class of CLC43 becomes.

    Returns:
        Shape (CLC43 class, target class), float32: 1 where it does, else 0; a row of
        zeros where a class is dropped.
    """
    matrix = np.zeros((len(CLC43), len(target)), np.float32)
    for source, index in enumerate(remap(CLC43, target)):
        if index is not None:
            matrix[source, index] = 1
    return matrix


def map_labels(vectors: tf.Tensor, target: Nomenclature) -> tf.Tensor:
    """Turns CLC43 vectors into those of another nomenclature, by union of classes.

    Args:
        vectors: Shape (batch, class) = (batch, 43), uint8.
        target: The nomenclature that is wanted.

    Returns:
        Shape (batch, class) = (batch, len(target)), uint8: 1 for each class, else 0.
    """
    import tensorflow as tf

    if target == CLC43:
        return vectors
    counts = tf.matmul(tf.cast(vectors, tf.float32), make_matrix(target))
    return tf.cast(counts > 0, tf.uint8)


def map_vectors(
    vectors: npt.NDArray[np.uint8], target: Nomenclature
) -> npt.NDArray[np.uint8]:
    """Does to arrays of NumPy what `map_labels` does to tensors."""
    if target == CLC43:
        return vectors
    return (vectors @ make_matrix(target) > 0).astype(np.uint8)


def count_unlabelled(store: Store, split: str, target: Nomenclature) -> int:
    """Counts the patches of a split that have no label in a nomenclature.

    Args:
        store: The store; its table of patches says the labels.
        split: Name of the split.
        target: The nomenclature.

    Raises:
        ShardError: If the table of patches is missing or damaged.
    """
    if None not in remap(CLC43, target):
        return 0
    lists = read_labels(store, split)
    rows = np.repeat(np.arange(len(lists)), lists.value_lengths().to_numpy())
    is_kept = make_matrix(target).sum(axis=1) > 0
    kept = is_kept[lists.flatten().to_numpy()]
    return len(lists) - len(np.unique(rows[kept]))
