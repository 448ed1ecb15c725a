"""What is learnt of a patch: labels, or the class of each pixel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bigearthnet.errors import OptionError
from bigearthnet.loading.labels import get_nomenclature, map_labels, map_vectors
from bigearthnet.release.nomenclature import CLC43, Nomenclature, map_lookup
from bigearthnet.schema.configs import Config

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True)
class Target:
    """How targets are made of a stored column.

    Attributes:
        column: The column that is read.
        source: The nomenclature that it is stored in.
        nomenclature: The nomenclature that is wanted.
        is_map: Whether it has the class of each pixel.
    """

    column: str
    source: Nomenclature
    nomenclature: Nomenclature
    is_map: bool

    def make_tensors(self, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns vectors (batch, class), or classes (batch, y, x), uint8."""
        import tensorflow as tf

        stored = batch[self.column]
        if not self.is_map:
            return map_labels(stored, self.source, self.nomenclature)
        indices = tf.cast(stored[:, 0], tf.int32)
        return tf.gather(map_lookup(self.nomenclature), indices)

    def make_arrays(
        self, batch: Mapping[str, npt.NDArray[Any]]
    ) -> npt.NDArray[np.uint8]:
        """Does to arrays of NumPy what `make_tensors` does to tensors."""
        stored = batch[self.column]
        if not self.is_map:
            return map_vectors(stored, self.source, self.nomenclature)
        return map_lookup(self.nomenclature)[stored[:, 0]]


def choose_target(config: Config, target: str, labels: str | None) -> Target:
    """Says how targets are made of what is stored.

    Args:
        config: What is stored.
        target: See `loading.load`.
        labels: See `loading.load`.

    Raises:
        OptionError: If there is no such target, or no map to the nomenclature.
    """
    release = config.release
    maps = [group.name for group in config.groups if group.is_map]
    if target == "labels":
        own = release.label_sets[0]
        wanted = get_nomenclature(labels, release)
        return Target(own.vector, own.nomenclature, wanted, is_map=False)
    if target not in maps:
        others = [
            choice.name
            for choice in release.choices
            for name in choice.archives
            if any(g.is_map and g.name == target for g in release.archive(name).groups)
        ]
        advice = f" Of {release.name}, {', '.join(others)} have it." if others else ""
        raise OptionError(
            f"target: expected {' or '.join(['labels', *maps])} of config "
            f"{config.name}, got {target!r}.{advice}"
        )
    wanted = get_nomenclature(labels, release, CLC43)
    return Target(target, CLC43, wanted, is_map=True)
