"""`load`: the shortest way from a store to batches of images and labels.

store ──► reading ──► to_tf ──► dict of groups ──► images, labels ──► (x, y)
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bigearthnet.loading.targets import choose_target
from bigearthnet.reading import open_shards, open_stores
from bigearthnet.reading.choice import Choice, choose_patches, list_shards
from bigearthnet.reading.reader import Reader
from bigearthnet.release import RELEASES, Release
from bigearthnet.schema.configs import get_config
from bigearthnet.schema.features import Feature
from bigearthnet.store.pairs import open_parts
from bigearthnet.store.remote import AnyStore
from bigearthnet.util.options import check_tensorflow
from bigearthnet.util.remote import RemotePath

if TYPE_CHECKING:
    import tensorflow as tf

    from bigearthnet.reading.conditions import Where

# Batches that wait to be taken; one of 128 patches at 120 × 120 has 88 MB.
_READ_AHEAD = 2


def load(
    split: str,
    data_dir: Path | str | None = None,
    *,
    config: str = "s2",
    bands: str | Sequence[str] = "all",
    labels: str | None = None,
    target: str = "labels",
    image_size: int | None = 120,
    resampling: str = "bicubic",
    batch_size: int = 128,
    shuffle: bool = False,
    seed: int | None = None,
    first_epoch: int = 0,
    keep_empty: bool = False,
    store: str | None = None,
    release: Release | None = None,
    where: Where | None = None,
) -> tf.data.Dataset:
    """Loads a split as batches of images and labels.

    Whole batches are read and decoded at once, and of each patch only what is asked
    for. The last, short batch is kept. tf.data's autotuning is off, also for what is
    made of the data set (`with_options` switches it on again); as many batches are
    decoded side by side as there are processors, and two wait.

    Args:
        split: `train`, `validation`, `test`, or `excluded` where that was built;
            several joined by `+`, or parts such as `train[:10%]`, see `open_reader`.
        data_dir: The data directory of the build, the folder of a store, or the URL of
            a published one; None for TensorFlow Datasets' own. See `open_reader`.
        config: `s2`, `s2-random` or `s2-rgb`; of v2.0 `v2-s2`, `v2-s1`, `v2-s1s2` or
            `v2-s2-rgb`. A pair of stores is read as one, see `open_reader`.
        bands: `all` (ascending wavelength, then VV and VH; with `s2-rgb` its three),
            `rgb` (B04, B03, B02), or a list of band names, of all sensors, in the order
            wanted; in upper or lower case.
        labels: `clc43`, `ben19`, `clc_level2` or `clc_level1`; also the alphabetical
            orders of other packages, `clc43_alphabetical` and `ben19_alphabetical`.
            Vectors of level 1 and 2 are the union of their level-3 classes. None for
            the labels that the release is published with: of v1.0 `clc43`, of v2.0
            `ben19`, of which 43 classes cannot be made.
        target: `labels`, or `reference_map` for the class of each pixel, of v2.0: in
            the same nomenclatures, `clc43` too.
        image_size: 120 for images in which all bands have 120 × 120 pixels; None for
            the stored pixels.
        resampling: How bands of 20 and 60 m get 120 × 120 pixels: `bicubic`, `bilinear`
            or `nearest`, with half-pixel centres.
        batch_size: Patches of a batch.
        shuffle: Draws an order for each epoch: of files, and of the next 1,000 patches
            of eight of them; with Parquet, of row groups, and of the 800 patches of
            eight of them; with Arrow, of all patches.
        seed: Seed of these orders; None for ones that cannot be repeated. Each
            iteration counts as an epoch, a single look at a batch, too.
        first_epoch: Number of the first epoch, so that a training that starts again
            goes on with the orders that are next.
        keep_empty: Keeps patches that have no label in the nomenclature, which `ben19`
            has in `s2-random` and in `excluded`.
        store: `tfrecord`, `arrow` or `parquet`, see `open_reader`.
        release: The release that the configuration belongs to; None for one that the
            package knows.
        where: Which of these patches, so that only their pixels are read, see
            `open_reader`.

    Returns:
        Data set of (images, labels). Labels have shape (batch, class), uint8, maps
        (batch, y, x) = (batch, 120, 120), uint8 class ids, 255 where there is no class.
        Images, with `image_size=120`: shape (batch, y, x, channel) = (batch, 120, 120,
        channel), float32, as stored: digital numbers (reflectance = DN / 10000), and
        decibels of VV and VH. With `image_size=None`: a dict of the stored groups,
        `bands_10m` and so on, of shape (batch, band, y, x); or, where bands are named,
        a dict of band name → shape (batch, y, x). With `s2-rgb`: shape (batch, 120,
        120, 3), uint8, see `rgb.STRETCH`.

    Raises:
        OptionError: If an option has no meaning, or TensorFlow is not installed.
        StoreError: If the data directory does not hold what is asked for, or a pair of
            stores does not hold the same patches.
        ShardError: If a JSON file of a store cannot be read.
        DownloadError: If what is at the URL cannot be had.
    """
    check_tensorflow("bigearthnet.load")
    from bigearthnet.loading.images import plan_images
    from bigearthnet.loading.labels import drop_unlabelled
    from bigearthnet.loading.to_tf import to_tf

    chosen = get_config(config, RELEASES if release is None else [release])
    images = plan_images(chosen, bands, image_size, resampling)
    wanted = choose_target(chosen, target, labels)
    stores = open_parts(data_dir, chosen, store)
    patches = choose_patches(stores[0], split, where)
    if not keep_empty and not wanted.is_map:
        patches = drop_unlabelled(stores[0], patches, wanted.nomenclature)
    dataset = to_tf(
        open_stores(stores, patches, chosen, _open_patches),
        batch_size,
        [*images.columns, wanted.column],
        shuffle=shuffle,
        seed=seed,
        first_epoch=first_epoch,
    )

    def assemble(batch: dict[str, tf.Tensor]) -> tuple[Any, tf.Tensor]:
        return images.make(batch), wanted.make_tensors(batch)

    return _finish(dataset.map(assemble, num_parallel_calls=_autotune()))


def _open_patches(store: AnyStore, patches: Choice) -> Reader:
    form, shards, rows, schema, chosen, _ = list_shards(store, patches)
    local = [path.stat() for path in shards if isinstance(path, Path)]
    versions = tuple((found.st_ino, found.st_mtime_ns) for found in local)
    files = [file for split in patches.splits for file in store.files(split)]
    versions = versions or tuple(file["sha256"] for file in files)
    numbers = None if chosen is None else chosen.tobytes()
    return _open_reader(form, shards, rows, schema, numbers, versions)


@functools.lru_cache(maxsize=8)
def _open_reader(
    form: str,
    shards: tuple[Path | RemotePath, ...],
    rows: tuple[int, ...],
    schema: tuple[Feature, ...],
    chosen: bytes | None,
    versions: object,
) -> Reader:
    """Opens a reader, the same one again for the same files; see `open_shards`.

    TensorFlow keeps what a generator reads from for ever.

    Args:
        form: Name of the format.
        shards: The files.
        rows: Patches of each.
        schema: The stored features.
        chosen: Numbers of the patches to offer, int64; None for all.
        versions: What is another value once a file was replaced.
    """
    numbers = None if chosen is None else np.frombuffer(chosen, np.int64)
    return open_shards(form, shards, rows, schema, numbers)


def _autotune() -> int:
    import tensorflow as tf

    return int(tf.data.AUTOTUNE)


def _finish(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Reads ahead as many batches as needed, not more."""
    import tensorflow as tf

    options = tf.data.Options()
    # TensorFlow 2.21 waits for its autotuning at the end of many iterations, 0.1 to
    # 0.3 s, and here is nothing left to tune.
    options.autotune.enabled = False
    return dataset.prefetch(_READ_AHEAD).with_options(options)
