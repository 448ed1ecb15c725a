"""Every way to load the patches of a data directory, in one form, to be compared.

Each is written as its users would write it; `builder.demo` and the tests compare them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bigearthnet import ArrowReader, load
from bigearthnet.release import V1
from bigearthnet.release.bands import GROUPS, split
from bigearthnet.schema.configs import get_config
from bigearthnet.store.search import open_store

# The features that the patches' JSON has, too.
_FIELDS = (
    "patch_id",
    "labels",
    "coordinates",
    "projection",
    "tile_source",
    "acquisition_date",
)
_CONFIG = get_config("s2", [V1])
_COORDINATES = ("ulx", "uly", "lrx", "lry")


@dataclass(frozen=True)
class LoadedPatch:
    """A patch as it was loaded.

    Attributes:
        split: Name of its split.
        patch_id: The patch id.
        bands: Band name → shape (y, x), uint16, digital numbers.
        fields: What else was loaded and is also in the patch's JSON.
    """

    split: str
    patch_id: str
    bands: Mapping[str, npt.NDArray[np.uint16]]
    fields: Mapping[str, Any]


def _make_patch(split_name: str, example: Mapping[str, Any]) -> LoadedPatch:
    groups = {g.name: example[g.name] for g in GROUPS}
    for name, pixels in groups.items():
        if isinstance(pixels, list):  # what `datasets` makes of arrays by default
            groups[name] = np.asarray(pixels, np.uint16)
    fields = {name: example[name] for name in _FIELDS}
    for name, value in fields.items():
        if isinstance(value, bytes):
            fields[name] = value.decode()
    fields["labels"] = [int(label) for label in fields["labels"]]
    return LoadedPatch(split_name, fields["patch_id"], split(groups), fields)


def load_tfds(data_dir: Path, cache_dir: Path) -> Iterator[LoadedPatch]:
    """Loads every split with TensorFlow Datasets."""
    import tensorflow_datasets as tfds

    yield from _read_splits(tfds.as_numpy(tfds.load("bigearthnet", data_dir=data_dir)))


def load_view(
    data_dir: Path, cache_dir: Path, view: str, *, streaming: bool = False
) -> Any:
    """Loads every split of one config of the Parquet store with `datasets`."""
    import datasets

    folder, cache = str(data_dir / "huggingface"), str(cache_dir)
    return datasets.load_dataset(folder, view, streaming=streaming, cache_dir=cache)


def load_datasets(
    data_dir: Path, cache_dir: Path, *, streaming: bool = False
) -> Iterator[LoadedPatch]:
    """Loads every split of the Parquet store, through the cache of `datasets`.

    Args:
        data_dir: The data directory.
        cache_dir: Folder of the cache.
        streaming: Reads the shards themselves instead.
    """
    yield from _read_splits(
        load_view(data_dir, cache_dir, "s2-43", streaming=streaming)
    )


def load_from_disk(data_dir: Path, cache_dir: Path) -> Iterator[LoadedPatch]:
    """Maps every split of the Arrow store with `datasets`."""
    import datasets

    yield from _read_splits(datasets.load_from_disk(str(data_dir / "arrow")))


def _read_splits(splits: Mapping[str, Any]) -> Iterator[LoadedPatch]:
    for name, dataset in splits.items():
        for row in dataset:
            yield _make_patch(name, row)


def load_arrow(data_dir: Path, cache_dir: Path) -> Iterator[LoadedPatch]:
    """Maps every split of the Arrow store without `datasets`."""
    for name in open_store(data_dir, _CONFIG, "arrow").splits:
        for batch in ArrowReader.open(name, data_dir).batches(4):
            for row in range(len(batch["patch_id"])):
                example: dict[str, Any] = {n: v[row] for n, v in batch.items()}
                example["coordinates"] = {
                    key: int(example[f"coordinates/{key}"]) for key in _COORDINATES
                }
                yield _make_patch(name, example)


def load_batches(
    data_dir: Path, cache_dir: Path, *, store: str
) -> Iterator[LoadedPatch]:
    """Loads every split of a store with `bigearthnet.load`."""
    for name in open_store(data_dir, _CONFIG, store).splits:
        # Batches of images have no names; all stores have the same order.
        named = ArrowReader.open(name, data_dir)
        ids = iter(named.gather(range(len(named)), ["patch_id"])["patch_id"])
        dataset = load(name, data_dir, image_size=None, batch_size=4, store=store)
        for groups, labels in dataset.as_numpy_iterator():
            for row, vector in enumerate(labels):
                bands = split({n: pixels[row] for n, pixels in groups.items()})
                fields = {"labels": np.flatnonzero(vector).tolist()}
                yield LoadedPatch(name, next(ids), bands, fields)


# The line that people write → what does it.
LOADERS: Mapping[str, Callable[[Path, Path], Iterator[LoadedPatch]]] = {
    "tfds.load": load_tfds,
    "datasets.load_dataset": load_datasets,
    "datasets.load_dataset, streaming": partial(load_datasets, streaming=True),
    "datasets.load_from_disk": load_from_disk,
    "huggingface.ArrowReader": load_arrow,
    "bigearthnet.load, TFRecord": partial(load_batches, store="tfrecord"),
    "bigearthnet.load, Parquet": partial(load_batches, store="parquet"),
    "bigearthnet.load, Arrow": partial(load_batches, store="arrow"),
}
