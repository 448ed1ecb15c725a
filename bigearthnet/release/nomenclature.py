"""Class vocabularies of BigEarthNet, their orders, and the maps between them.

The order of CLC43 and BEN19 is part of the stored bytes and of every checkpoint
trained on them: a change here is a new major version of the dataset.

Source of names, codes and hierarchy: `data/clc_nomenclature.csv`, compiled from the
CORINE Land Cover nomenclature and from `label_indices.json` of the authors' 19-class
code (Sumbul et al., 2021).
"""

from __future__ import annotations

import csv
import functools
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
import numpy.typing as npt

from bigearthnet.errors import LabelError


@dataclass(frozen=True)
class Nomenclature:
    """An ordered vocabulary of class labels.

    Attributes:
        name: Short name, for example `clc43`.
        labels: Label of each class id, in id order.
    """

    name: str
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @functools.cached_property
    def ids(self) -> Mapping[str, int]:
        """Class id of each label."""
        return {label: index for index, label in enumerate(self.labels)}

    def encode(self, labels: Iterable[str]) -> tuple[int, ...]:
        """Turns label names into ascending class ids.

        Args:
            labels: Label names, in any order, without repetition.

        Returns:
            Class ids in [0, len(self)), ascending.

        Raises:
            LabelError: If a label is not part of the nomenclature or comes twice.
        """
        names = list(labels)
        try:
            ids = sorted(self.ids[name] for name in names)
        except (KeyError, TypeError):
            unknown = [n for n in names if not isinstance(n, str) or n not in self.ids]
            raise LabelError(
                f"unknown label: expected one of the {len(self)} labels of "
                f"{self.name}, got {unknown[0]!r}. Spelling and case count."
            ) from None
        if len(set(ids)) != len(ids):
            raise LabelError(f"a label comes twice in {names!r}: expected each once.")
        return tuple(ids)

    def decode(self, ids: Iterable[int]) -> tuple[str, ...]:
        """Turns class ids into label names.

        Args:
            ids: Class ids in [0, len(self)).

        Returns:
            Their labels, in the order given.

        Raises:
            LabelError: If an id is not in [0, len(self)).
        """
        names = []
        for index in ids:
            if not 0 <= index < len(self):
                raise LabelError(
                    f"unknown class id: expected 0 to {len(self) - 1} of {self.name}, "
                    f"got {index}."
                )
            names.append(self.labels[index])
        return tuple(names)

    def multi_hot(self, ids: Iterable[int]) -> npt.NDArray[np.uint8]:
        """Turns class ids into a vector.

        Args:
            ids: Class ids in [0, len(self)).

        Returns:
            Shape (class,), uint8, 1 at each of the ids, else 0.

        Raises:
            LabelError: If an id is not in [0, len(self)).
        """
        chosen = list(ids)
        self.decode(chosen)
        vector = np.zeros(len(self), np.uint8)
        vector[chosen] = 1
        return vector


def _read_class_table() -> list[dict[str, str]]:
    path = resources.files("bigearthnet") / "data" / "clc_nomenclature.csv"
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


_TABLE = _read_class_table()


def _unique(labels: Iterable[str]) -> tuple[str, ...]:
    """Unique labels in order of appearance, which is CLC-code order; "" is none."""
    return tuple(dict.fromkeys(label for label in labels if label))


CLC43 = Nomenclature("clc43", tuple(row["level3_label"] for row in _TABLE))
BEN19 = Nomenclature("ben19", _unique(row["ben19_label"] for row in _TABLE))
CLC_LEVEL2 = Nomenclature("clc_level2", _unique(row["level2_label"] for row in _TABLE))
CLC_LEVEL1 = Nomenclature("clc_level1", _unique(row["level1_label"] for row in _TABLE))

# What pixels of a map have that are to be ignored, as programs usually write it.
NO_CLASS = 255

# Codes of the reference maps of v2.0 → class id of CLC43. Glaciers (335) are in none of
# the vocabularies; 999 are pixels without a label.
MAP_CODES = (
    *((int(row["clc_code"]), int(row["index"])) for row in _TABLE),
    (335, len(CLC43)),
    (999, NO_CLASS),
)

# Patches of the whole archive with each class of CLC43 (Sumbul et al., 2019, Table 2).
PAPER_COUNTS = tuple(int(row["paper_table2_count"]) for row in _TABLE)

# CLC43 in the alphabetical order of TensorFlow Datasets' built-in builder and of
# bigearthnet-common; 2 of 43 indices agree with CLC43.
CLC43_ALPHABETICAL = Nomenclature("clc43_alphabetical", tuple(sorted(CLC43.labels)))
# BEN19 in the alphabetical order of ConfigILM and of the reBEN models.
BEN19_ALPHABETICAL = Nomenclature("ben19_alphabetical", tuple(sorted(BEN19.labels)))

NOMENCLATURES: Mapping[str, Nomenclature] = {
    nomenclature.name: nomenclature
    for nomenclature in (
        CLC43,
        BEN19,
        CLC_LEVEL2,
        CLC_LEVEL1,
        CLC43_ALPHABETICAL,
        BEN19_ALPHABETICAL,
    )
}

# The column of the class table that says what each level-3 class becomes.
_COARSER_COLUMN = {
    CLC_LEVEL1.labels: "level1_label",
    CLC_LEVEL2.labels: "level2_label",
    BEN19.labels: "ben19_label",
    BEN19_ALPHABETICAL.labels: "ben19_label",
}


@functools.cache
def remap(source: Nomenclature, target: Nomenclature) -> tuple[int | None, ...]:
    """Says which class of `target` each class of `source` becomes, by name.

    Two orders of the same names map one to one; the 43 level-3 classes also map to
    BEN19 (11 classes are dropped), level 2 and level 1.

    Args:
        source: The vocabulary that ids come from.
        target: The vocabulary that ids are wanted in.

    Returns:
        One entry per class of `source`, the class id in `target`, or None where the
        class is dropped.

    Raises:
        LabelError: If no map between the two is defined.
    """
    if set(source.labels) == set(target.labels):
        return tuple(target.ids[label] for label in source.labels)
    column = _COARSER_COLUMN.get(target.labels)
    if set(source.labels) != set(CLC43.labels) or column is None:
        raise LabelError(
            f"no map from {source.name} to {target.name}: expected two orders of the "
            "same labels, or clc43 to ben19, clc_level2 or clc_level1."
        )
    coarser = {row["level3_label"]: row[column] for row in _TABLE}
    return tuple(target.ids.get(coarser[label]) for label in source.labels)


def remap_ids(
    ids: Sequence[int], source: Nomenclature, target: Nomenclature
) -> tuple[int, ...]:
    """Turns class ids of one vocabulary into those of another, see `remap`.

    Args:
        ids: Class ids in `source`, in any order.
        source: The vocabulary that ids come from.
        target: The vocabulary that ids are wanted in.

    Returns:
        Ascending unique ids in `target`, without those of classes that are dropped.

    Raises:
        LabelError: If no map is defined, or an id is not one of `source`.
    """
    source.decode(ids)
    table = remap(source, target)
    return tuple(sorted({new for i in ids if (new := table[i]) is not None}))


@functools.cache
def map_lookup(target: Nomenclature) -> npt.NDArray[np.uint8]:
    """Returns what pixels of a map become in another vocabulary.

    Args:
        target: The vocabulary that class ids are wanted in.

    Returns:
        Shape (stored value,) = (256,), uint8, the class id of each of CLC43, NO_CLASS
        where it is dropped, and for all other values.

    Raises:
        LabelError: If no map from CLC43 is defined.
    """
    lookup = np.full(256, NO_CLASS, np.uint8)
    for index, new in enumerate(remap(CLC43, target)):
        lookup[index] = NO_CLASS if new is None else new
    lookup.flags.writeable = False
    return lookup


def encode_mask(ids: Iterable[int]) -> int:
    """Packs class ids into the bits of an integer.

    Args:
        ids: Class ids under 64.

    Returns:
        The integer; bit *i* is set for class *i*.
    """
    return sum(1 << number for number in ids)


def decode_mask(mask: int) -> tuple[int, ...]:
    """Takes a mask apart; the inverse of `encode_mask`.

    Args:
        mask: What `encode_mask` returned.

    Returns:
        Its class ids, ascending.
    """
    return tuple(bit for bit in range(mask.bit_length()) if mask >> bit & 1)


def multi_hot(labels: Sequence[Sequence[int]], n: int) -> npt.NDArray[np.uint8]:
    """Turns lists of class ids, as `datasets` returns a batch of them, into vectors.

    Args:
        labels: Class ids of each patch; a patch may have none.
        n: Classes of the nomenclature: 43 for `labels`, 19 for `labels_19`.

    Returns:
        Shape (patch, class) = (len(labels), n), uint8, 1 for each class, else 0.

    Raises:
        LabelError: If an id is not in [0, n).
    """
    vectors = np.zeros((len(labels), n), np.uint8)
    rows = np.repeat(np.arange(len(labels)), [len(ids) for ids in labels])
    flat = np.fromiter(itertools.chain.from_iterable(labels), np.int64)
    wrong = flat[(flat < 0) | (flat >= n)]
    if len(wrong):
        raise LabelError(f"unknown class id: expected 0 to {n - 1}, got {wrong[0]}.")
    vectors[rows, flat] = 1
    return vectors
