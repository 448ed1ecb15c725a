"""Reads stores that hold the same patches in the same order as if they were one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from bigearthnet.reading.batches import Batch, choose_columns, find_column
from bigearthnet.reading.reader import Indices, Reader
from bigearthnet.schema.features import Feature


class PairedReader(Reader):
    """The patches of several readers, each with the columns of all of them.

    A column is read by one of the readers alone, and a reader that has none of what is
    asked for reads nothing.
    """

    def __init__(self, readers: Sequence[Reader]) -> None:
        """Takes the readers.

        Args:
            readers: Readers of one format, whose shards hold the same patches: see
                `store.pairs.check_pairs`. Columns that several have are read by the
                first, unless another one is read anyway, and the first is not.
        """
        self._readers = tuple(readers)
        self.features: dict[str, Feature] = {}
        for reader in readers:
            self.features = {**reader.features, **self.features}
        assert len({len(reader) for reader in readers}) == 1

    def __len__(self) -> int:
        return len(self._readers[0])

    def gather(
        self, indices: Indices, columns: str | Sequence[str] | None = None
    ) -> Batch:
        """Reads some patches; see `Reader.gather`."""
        names = choose_columns(self.features, columns)
        return _join(
            names,
            [
                reader.gather(indices, chosen)
                for reader, chosen in self._share(names).items()
            ],
        )

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
        """Yields all patches once; see `Reader.batches`.

        The order is that of one of the readers, which draw the same from the same seed.
        """
        names = choose_columns(self.features, columns)
        if shuffle and seed is None:
            seed = int(np.random.default_rng().integers(2**32))
        streams = [
            reader.batches(
                batch_size, chosen, shuffle=shuffle, seed=seed, epoch=epoch, skip=skip
            )
            for reader, chosen in self._share(names).items()
        ]
        for parts in zip(*streams, strict=True):
            yield _join(names, parts)

    def _share(self, names: Sequence[str]) -> dict[Reader, list[str]]:
        """Says which reader reads which of the columns."""
        stored = {name: find_column(self.features, name).stored.name for name in names}
        owners = {
            name: [reader for reader in self._readers if column in reader.features]
            for name, column in stored.items()
        }
        needed = [found[0] for found in owners.values() if len(found) == 1]
        shares: dict[Reader, list[str]] = {}
        for name, found in owners.items():
            reader = next((one for one in found if one in needed), found[0])
            shares.setdefault(reader, []).append(name)
        return shares


def _join(names: Sequence[str], parts: Sequence[Batch]) -> Batch:
    found = {name: values for part in parts for name, values in part.items()}
    return {name: found[name] for name in names}
