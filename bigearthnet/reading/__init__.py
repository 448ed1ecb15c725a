"""Readers of stores: features as numpy arrays, batch by batch, without Python rows.

`tfrecord` reads records one by one into the arrays of a batch; `arrow` maps Arrow
stores into memory; `parquet` decodes Parquet stores group by group, and `remote` those
at a URL; `paired` reads the stores of two sensors as one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bigearthnet.reading.choice import Choice, choose_patches, list_shards
from bigearthnet.reading.paired import PairedReader
from bigearthnet.reading.reader import Reader
from bigearthnet.release import RELEASES, Release
from bigearthnet.schema.configs import Config, get_config
from bigearthnet.schema.features import Feature
from bigearthnet.store.pairs import check_pairs, open_parts
from bigearthnet.store.remote import AnyStore
from bigearthnet.util.remote import RemotePath

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from bigearthnet.reading.conditions import Where


def open_reader(
    split: str,
    data_dir: Path | str | None = None,
    *,
    config: str = "s2",
    store: str | None = None,
    release: Release | None = None,
    where: Where | None = None,
) -> Reader:
    """Opens a split of whichever store is there, without TensorFlow or `datasets`.

    Args:
        split: Name of the split, of several joined by `+`, or parts of them as
            TensorFlow Datasets and `datasets` write them: `train[:10%]`,
            `train[100:200]`, `train[10%:]+validation`; or `all`.
        data_dir: The data directory, or the folder of a store; None for the data
            directory of TensorFlow Datasets. Or the URL of a published Parquet store,
            which is streamed: `hf://datasets/ORG/NAME`, with `@REVISION` if wanted,
            `s3://`, `gs://` or `https://`.
        config: Name of the configuration. One of several archives, such as `v2-s1s2`,
            is read from its TFRecord store, or from a pair of stores of one format,
            here `v2-s2` and `v2-s1`, if these hold the same patches.
        store: `tfrecord`, `arrow` or `parquet`; None for the first of them that is
            there. Damage of an Arrow store is not noticed, since it has no checksums.
        release: The release that the configuration belongs to; None for one that the
            package knows.
        where: Which of these patches, by what the store's `patches.parquet` says of
            them, so that only their pixels are read: `{"country": "Portugal", "season":
            ["spring", "summer"], "labels": "Airports", "date": ("2017-07-01", None)}`,
            or `"country=Portugal; season=spring|summer"`; see
            `conditions.match_patches`. TFRecord and Arrow stores read these patches
            alone, Parquet stores the groups of 100 that they lie in.

    Returns:
        The reader, which gives numpy arrays, see `Reader`.

    Raises:
        OptionError: If there is no such configuration, format or split, a condition has
            no meaning, or no patch is left.
        StoreError: If the store, or one of its files, is not there; or the store is of
            an older version, which does not say what `where` asks for.
        ShardError: If the store is damaged.
        DownloadError: If what is at the URL cannot be had.
    """
    chosen = get_config(config, RELEASES if release is None else [release])
    stores = open_parts(data_dir, chosen, store)
    return open_stores(stores, choose_patches(stores[0], split, where), chosen)


def _open_patches(store: AnyStore, patches: Choice) -> Reader:
    return open_shards(*list_shards(store, patches))


def open_stores(
    stores: Sequence[AnyStore],
    patches: Choice,
    config: Config,
    open_one: Callable[[AnyStore, Choice], Reader] = _open_patches,
) -> Reader:
    """Opens some patches of a store, or of several that hold the same patches.

    Args:
        stores: What `store.pairs.open_parts` returned.
        patches: Some patches of the first.
        config: The configuration that they are read as.
        open_one: What opens patches of a single store.

    Raises:
        OptionError, StoreError, ShardError, DownloadError: As in `open_reader`.
    """
    check_pairs(stores, patches.splits)
    readers = [open_one(store, patches) for store in stores]
    if len(readers) == 1:
        return readers[0]
    paired = PairedReader(readers)
    paired.config = config
    return paired


def open_shards(
    form: str,
    paths: Sequence[Path | RemotePath],
    rows: Sequence[int],
    schema: Sequence[Feature],
    chosen: npt.NDArray[np.int64] | None = None,
    config: Config | None = None,
) -> Reader:
    """Opens some shards of a store.

    Args:
        form: Name of the format.
        paths: The shards, in order; at a URL, of Parquet alone.
        rows: Patches of each shard; tables say this themselves.
        schema: The stored features.
        chosen: Numbers of the patches to offer, ascending; None for all.
        config: The configuration, which `Reader.images` needs.

    Raises:
        ShardError: If one of them is damaged.
        OptionError: If no column of a table is one of the schema.
        StoreError, DownloadError: If a shard at a URL is missing, or cannot be had.
    """
    reader = _open_format(form, paths, rows, schema, chosen)
    reader.config = config
    return reader


def _open_format(
    form: str,
    paths: Sequence[Path | RemotePath],
    rows: Sequence[int],
    schema: Sequence[Feature],
    chosen: npt.NDArray[np.int64] | None,
) -> Reader:
    if remote := [path for path in paths if isinstance(path, RemotePath)]:
        from bigearthnet.reading.remote import RemoteParquetReader

        return RemoteParquetReader(remote, rows, schema, chosen)
    local = [path for path in paths if isinstance(path, Path)]
    if form == "tfrecord":
        from bigearthnet.reading.tfrecord import TFRecordReader

        return TFRecordReader(local, rows, schema, chosen)
    if form == "parquet":
        from bigearthnet.reading.parquet import ParquetReader

        return ParquetReader(local, schema, chosen)
    from bigearthnet.reading.arrow import ArrowReader

    return ArrowReader.map_files(local, schema, chosen)
