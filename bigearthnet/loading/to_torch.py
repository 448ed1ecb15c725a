"""Images and labels as a data set of PyTorch; needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bigearthnet.errors import OptionError
from bigearthnet.loading.labels import get_nomenclature, map_vectors
from bigearthnet.reading import open_reader
from bigearthnet.reading.images import plan_images
from bigearthnet.reading.reader import Reader, find_numbers
from bigearthnet.release import Release

if TYPE_CHECKING:
    import torch

    from bigearthnet.reading.conditions import Where
    from bigearthnet.reading.reader import Indices
    from bigearthnet.release.nomenclature import Nomenclature


class TorchPatches:
    """A map-style data set for `torch.utils.data.DataLoader`.

    An index gives one image and its labels; a slice or a list of indices a whole batch
    of them, which is read at once: give the loader `sampler=BatchSampler(...)` and
    `batch_size=None`. Can go to worker processes.
    """

    def __init__(
        self,
        reader: Reader,
        bands: str | Sequence[str],
        target: Nomenclature,
        transform: Callable[[torch.Tensor], torch.Tensor] | None,
    ) -> None:
        """Takes what `torch_dataset` has checked."""
        self.reader = reader
        self._bands, self._target, self._transform = bands, target, transform

    def __len__(self) -> int:
        return len(self.reader)

    def __repr__(self) -> str:
        config = self.reader.config
        assert config is not None
        return (
            f"<TorchPatches of {config.name}: {len(self):,} patches, "
            f"bands={self._bands!r}, labels={self._target.name!r}>"
        )

    def __getitem__(
        self, key: int | slice | Indices
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Reads images (…, channel, y, x), float32, and labels (…, class), float32."""
        import torch

        config = self.reader.config
        assert config is not None
        if not isinstance(key, slice):
            key = np.asarray(key)[()]  # of PyTorch's numbers numpy's
        single = isinstance(key, np.integer)
        indices = find_numbers(key, len(self))
        plan = plan_images(config, self._bands, 120)
        labels = config.release.label_sets[0]
        batch = self.reader.gather(indices, [*plan.columns, labels.vector])
        vectors = map_vectors(batch[labels.vector], labels.nomenclature, self._target)
        images = torch.from_numpy(plan.make(batch)).permute(0, 3, 1, 2)
        targets = torch.from_numpy(vectors.astype(np.float32))
        if single:
            images, targets = images[0], targets[0]
        return (images if self._transform is None else self._transform(images)), targets


def torch_dataset(
    split: str,
    data_dir: Path | str | None = None,
    *,
    config: str = "s2",
    bands: str | Sequence[str] = "all",
    labels: str | None = None,
    transform: Callable[[torch.Tensor], torch.Tensor] | None = None,
    store: str | None = None,
    release: Release | None = None,
    where: Where | None = None,
) -> TorchPatches:
    """Makes a data set of images and labels for PyTorch's `DataLoader`.

    Args:
        split: Which patches, as for `load`.
        data_dir: Where they are, as for `load`.
        config: Name of the configuration.
        bands: `all` (ascending wavelength), `rgb`, or names, as for `load`.
        labels: Name of the nomenclature, as for `load`.
        transform: What is done to the images that are read together, of shape
            (patch, channel, y, x), or (channel, y, x) for a single index.
        store: As for `load`; Arrow and TFRecord read patches in any order, Parquet
            reads the group of 100 that each lies in.
        release: As for `load`.
        where: As for `load`.

    Returns:
        Images of 120 × 120 pixels, shape (channel, y, x), float32 digital numbers; and
        multi-hot labels, shape (class,), float32. Patches without a label are kept.

    Raises:
        OptionError, StoreError, ShardError, DownloadError: As in `load`.
    """
    try:
        import torch  # noqa: F401
    except ImportError as cause:
        raise OptionError(
            f"torch_dataset needs PyTorch ({cause}): pip install torch."
        ) from None
    reader = open_reader(
        split, data_dir, config=config, store=store, release=release, where=where
    )
    assert reader.config is not None
    plan_images(reader.config, bands, 120)  # refuses unknown bands now
    target = get_nomenclature(labels, reader.config.release)
    return TorchPatches(reader, bands, target, transform)
