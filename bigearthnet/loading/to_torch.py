"""Images and labels as a data set of PyTorch; needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bigearthnet.errors import OptionError
from bigearthnet.loading.targets import Target, choose_target
from bigearthnet.reading import open_reader
from bigearthnet.reading.images import plan_images
from bigearthnet.reading.reader import Reader, find_numbers
from bigearthnet.release import Release
from bigearthnet.util.wording import count_of

if TYPE_CHECKING:
    import torch

    from bigearthnet.reading.conditions import Where
    from bigearthnet.reading.reader import Indices


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
        target: Target,
        transform: Callable[..., Any] | None,
        resampling: str = "bicubic",
    ) -> None:
        """Takes what `torch_dataset` has checked."""
        self.reader = reader
        self._bands, self._resampling = bands, resampling
        self._target, self._transform = target, transform

    def __len__(self) -> int:
        return len(self.reader)

    def __repr__(self) -> str:
        config = self.reader.config
        assert config is not None
        return (
            f"<TorchPatches of {config.name}: {count_of(len(self), 'patch')}, "
            f"bands={self._bands!r}, labels={self._target.nomenclature.name!r}>"
        )

    def __getitem__(
        self, key: int | slice | Indices
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Reads images (…, channel, y, x), float32, and labels (…, class), float32.

        In place of labels, maps have shape (…, y, x), int64.
        """
        import torch

        config, target = self.reader.config, self._target
        assert config is not None
        if not isinstance(key, slice):
            key = np.asarray(key)[()]  # of PyTorch's numbers numpy's
        single = isinstance(key, np.integer)
        indices = find_numbers(key, len(self))
        plan = plan_images(config, self._bands, 120, self._resampling)
        batch = self.reader.gather(indices, [*plan.columns, target.column])
        images = torch.from_numpy(plan.make(batch)).permute(0, 3, 1, 2)
        # The types that losses of PyTorch take.
        dtype = np.int64 if target.is_map else np.float32
        targets = torch.from_numpy(target.make_arrays(batch).astype(dtype))
        if single:
            images, targets = images[0], targets[0]
        if self._transform is None:
            return images, targets
        if target.is_map:  # what turns one must turn the other
            return self._transform(images, targets)
        return self._transform(images), targets


def torch_dataset(
    split: str,
    data_dir: Path | str | None = None,
    *,
    config: str = "s2",
    bands: str | Sequence[str] = "all",
    labels: str | None = None,
    target: str = "labels",
    resampling: str = "bicubic",
    transform: Callable[..., Any] | None = None,
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
        target: `labels`, or `reference_map` for the class of each pixel, as for `load`.
        resampling: How bands of 20 and 60 m get 120 × 120 pixels, as for `load`.
        transform: What is done to the images that are read together, of shape
            (patch, channel, y, x), or (channel, y, x) for a single index. With maps, it
            takes images and maps, and returns both.
        store: As for `load`; Arrow and TFRecord read patches in any order, Parquet
            reads the group of 100 that each lies in.
        release: As for `load`.
        where: As for `load`.

    Returns:
        Images of 120 × 120 pixels, shape (channel, y, x), float32, as stored; and
        multi-hot labels, shape (class,), float32, or maps, shape (y, x) = (120, 120),
        int64 class ids, 255 where there is no class. Patches without a label are kept.

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
    plan_images(reader.config, bands, 120, resampling)  # refuses unknown bands now
    wanted = choose_target(reader.config, target, labels)
    return TorchPatches(reader, bands, wanted, transform, resampling)
