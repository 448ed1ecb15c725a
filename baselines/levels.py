"""Labels and scores of the coarser CLC levels, derived from those of level 3."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from baselines.errors import ResultError
from bigearthnet.release.nomenclature import CLC43, Nomenclature, remap

_Number = TypeVar("_Number", np.uint8, np.float32)


def derive_level(
    values: npt.NDArray[_Number], target: Nomenclature, source: Nomenclature = CLC43
) -> npt.NDArray[_Number]:
    """Takes for each coarser class the highest value of its level-3 classes.

    Of labels that is their union; a probability is at least a threshold where that of
    one of the classes is.

    Args:
        values: Shape (patch, class), labels or probabilities.
        target: A level of CORINE Land Cover.
        source: The order of the classes of `values`: CLC43 or its alphabetical order.

    Returns:
        Shape (patch, class) in the order of `target`, of the same dtype.

    Raises:
        LabelError: If `target` cannot be derived from the source.
        ResultError: If the values are not of the source's classes.
    """
    if values.ndim != 2 or values.shape[1] != len(source):
        raise ResultError(
            f"expected shape (patch, {len(source)}), the classes of {source.name}, got "
            f"{values.shape}."
        )
    derived = np.zeros((len(values), len(target)), values.dtype)
    for old, new in enumerate(remap(source, target)):
        if new is not None:
            np.maximum(derived[:, new], values[:, old], out=derived[:, new])
    return derived
