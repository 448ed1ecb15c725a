"""What all readers offer, whatever the format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from bigearthnet.errors import OptionError
from bigearthnet.reading.batches import Batch
from bigearthnet.reading.images import plan_images
from bigearthnet.release.bands import IMAGE_SIZE
from bigearthnet.schema.features import Feature
from bigearthnet.util.wording import count_of

if TYPE_CHECKING:
    from pathlib import Path

    from bigearthnet.reading.conditions import Where
    from bigearthnet.reading.patch import Patch
    from bigearthnet.release import Release
    from bigearthnet.schema.configs import Config

# Numbers of patches.
Indices: TypeAlias = "Sequence[int] | npt.NDArray[np.integer[Any]]"

# Patches that are read at once where one comes after the other.
_PATCHES_AT_ONCE = 10


def find_numbers(key: int | np.integer[Any] | slice | Indices, count: int) -> Indices:
    """Returns the patches that a slice means, or a number, from the end if negative.

    Args:
        key: A number, a slice, or what is returned as it is: numbers of patches.
        count: Patches that there are.
    """
    if isinstance(key, slice):
        return np.arange(count)[key]
    if isinstance(key, int | np.integer):
        return [int(key) + (count if key < 0 else 0)]
    return key


class Reader(ABC):
    """The patches of one split, or of parts of several: one by one, or in batches.

    `len(reader)`, `reader[3]` (a patch), `reader[10:20]` or `reader[[3, 1]]` (a batch),
    and `for patch in reader`. Besides the stored columns, single bands can be asked for
    by name (`B04`): arrays of shape (patch, y, x), of which the other bands are not
    copied.

    Attributes:
        features: Stored column → its feature.
        config: The configuration; None where it is not known.
        form: Name of the format that the class reads; None for any.
    """

    features: dict[str, Feature]
    config: Config | None = None
    form: ClassVar[str | None] = None

    @classmethod
    def open(
        cls,
        split: str,
        data_dir: Path | str | None = None,
        config: str = "s2",
        release: Release | None = None,
        where: Where | None = None,
    ) -> Self:
        """Opens a split of the store of this format; see `reading.open_reader`.

        Raises:
            OptionError: If there is no such configuration or split, or its patches are
                not in one store of this format.
            StoreError, ShardError, DownloadError: As in `open_reader`.
        """
        from bigearthnet.reading import open_reader

        opened = open_reader(
            split, data_dir, config=config, store=cls.form, release=release, where=where
        )
        if not isinstance(opened, cls):
            raise OptionError(
                f"config {config} is a pair of {cls.form} stores, which one "
                f"{cls.__name__} does not read: use bigearthnet.open_reader(..., "
                f'config="{config}", store="{cls.form}").'
            )
        return opened

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def gather(
        self, indices: Indices, columns: str | Sequence[str] | None = None
    ) -> Batch:
        """Reads some patches into arrays.

        Args:
            indices: Which patches, in [0, len(self)), in any order.
            columns: Which columns, or bands by name; None for all that are stored.

        Returns:
            Column → array of shape (patch, …); see `formats.columns.decode_column`.

        Raises:
            IndexError: If an index is out of range.
            OptionError: If there is no such column, or an index is not an integer.
            ShardError: If a shard is damaged.
        """

    @abstractmethod
    def batches(
        self,
        batch_size: int,
        columns: str | Sequence[str] | None = None,
        *,
        shuffle: bool = False,
        seed: int | None = None,
        epoch: int = 0,
        skip: int = 0,
    ) -> Iterator[Batch]:
        """Yields all patches once, the last short batch included.

        Args:
            batch_size: Patches of a batch.
            columns: Which columns, or bands by name; None for all that are stored.
            shuffle: Draws an order, anew for each epoch; which, each format says.
            seed: Seed of that order; None for one that cannot be repeated.
            epoch: Number of the epoch.
            skip: Patches that are left out at the beginning of the order, so that a
                run goes on where it ended.

        Raises:
            OptionError: If there is no such column, or the batch size or skip has no
                meaning.
            ShardError: If a shard is damaged.
        """

    def __repr__(self) -> str:
        of = "" if self.config is None else f" of {self.config.name}"
        columns = ", ".join(self.features)
        return (
            f"<{type(self).__name__}{of}: {count_of(len(self), 'patch')} of {columns}>"
        )

    @overload
    def __getitem__(self, key: int | np.integer[Any]) -> Patch: ...

    @overload
    def __getitem__(self, key: slice | Indices) -> Batch: ...

    def __getitem__(
        self, key: int | np.integer[Any] | slice | Indices
    ) -> Patch | Batch:
        """Reads one patch, or several into arrays, with all columns.

        Args:
            key: A number, counted from the end if negative; a slice; or numbers.

        Raises:
            IndexError: If a number is out of range.
            OptionError: If it is something else.
            ShardError: If a shard is damaged.
        """
        batch = self.gather(find_numbers(key, len(self)))
        single = isinstance(key, int | np.integer)
        return self._make_patch(batch, 0) if single else batch

    def __iter__(self) -> Iterator[Patch]:
        """Yields one patch after the other, in stored order."""
        for batch in self.batches(_PATCHES_AT_ONCE):
            for number in range(len(next(iter(batch.values())))):
                yield self._make_patch(batch, number)

    def images(
        self,
        indices: Indices | slice,
        bands: str | Sequence[str] = "all",
        image_size: int | None = IMAGE_SIZE,
        resampling: str = "bicubic",
    ) -> Any:
        """Reads images as `bigearthnet.load` makes them, in numpy.

        Args:
            indices: Which patches, in any order.
            bands: `all` (ascending wavelength), `rgb`, or names; see `load`.
            image_size: 120 for images in which all bands have 120 × 120 pixels, or None
                for the stored pixels.
            resampling: As in `load`.

        Returns:
            Shape (patch, y, x, channel) = (patch, 120, 120, channel), float32 digital
            numbers; with `image_size=None` a dict of arrays, and of `s2-rgb` uint8, as
            `load` gives them.

        Raises:
            IndexError: If an index is out of range.
            OptionError: If an option has no meaning.
            ShardError: If a shard is damaged.
        """
        if self.config is None:
            raise OptionError(
                "images: the reader does not know its configuration: open it with "
                "open_reader, or read stored groups with gather."
            )
        plan = plan_images(self.config, bands, image_size, resampling)
        if isinstance(indices, slice):
            indices = find_numbers(indices, len(self))
        return plan.make(self.gather(indices, plan.columns))

    def _make_patch(self, batch: Batch, number: int) -> Patch:
        """Returns one patch of a batch."""
        from bigearthnet.reading.patch import Patch

        rgb = () if self.config is None else self.config.release.rgb
        values = {name: values[number] for name, values in batch.items()}
        return Patch(values, self.features, rgb)
