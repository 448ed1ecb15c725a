"""Features of frozen Inception-v2: computed once, kept on disk, mapped into memory.

A forward pass of 224 pixels costs a thousand times what a step of the head does; with
features at hand, 100 epochs of the head take minutes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from baselines.cluster import check_same, gather, is_chief
from baselines.errors import CacheError
from baselines.feature_cache import Array, FeatureFile, Key, open_cache
from baselines.input_pipeline import ChosenPatches
from baselines.memory_data import MemoryData
from baselines.models.inception_v2 import NUM_FEATURES
from baselines.models.weights import WeightsRecord, describe_weights
from baselines.settings import Settings
from baselines.splits import split_names
from baselines.steps import compute_outputs
from baselines.stored_rows import StoreData
from bigearthnet.store.compatibility import hash_lines
from bigearthnet.util.progress import Progress

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

# Of what is cached and how it is computed; another version is another cache.
FORMAT_VERSION = 2
# Patches of a forward pass: measured fastest on a CPU, and it divides a block.
_BATCH_SIZE = 64


def load_or_make_features(
    settings: Settings,
    data: StoreData,
    *,
    weights_path: Path | None,
    cache_dir: Path,
    strategy: tf.distribute.Strategy,
    quiet: bool = False,
) -> MemoryData:
    """Loads the features of patches, after computing those that are not cached.

    Several hosts compute them together; the chief alone writes.

    Args:
        settings: Network, weights, preprocessing, and type of the features.
        data: The patches.
        weights_path: Checkpoint of the network; see `models.weights`.
        cache_dir: Folder of caches, or the cache of one network; see `open_cache`.
        strategy: Where to compute.
        quiet: Shows no progress.

    Raises:
        WeightsError: If the weights are missing, or are others.
        CacheError: If a cache of another network was given, or the features are too
            large for their type.
        ClusterError: If hosts find other features than the chief.
        ShardError: If the store is damaged.
        OSError: If features cannot be written.
    """
    weights = describe_weights(settings.weights, weights_path, settings.seed)
    folder = open_cache(
        cache_dir,
        settings.model,
        make_network_key(settings, weights),
        data.split,
        make_patches_key(data),
    )
    dtype = settings.features_dtype
    file = FeatureFile(folder, data.num_patches, NUM_FEATURES, dtype)
    if any(gather(strategy, len(file.find_missing()))):
        with file.lock() if is_chief(strategy) else contextlib.nullcontext():
            gather(strategy, 0)  # waits for the chief to have the lock
            missing = file.find_missing()  # another run may have written them
            expected = "expected a --features_dir that all of them share."
            starts = [rows.start for rows in missing]
            check_same(strategy, f"the features in {folder}: {expected}", starts)
            if missing:
                with strategy.scope():
                    model = _build_model(settings, weights_path)
                _fill(file, missing, model, data, dtype, strategy, quiet)
            gather(strategy, 0)  # waits for the chief to have written all
    features = file.map()
    if features is None:
        raise CacheError(f"{file.path} was removed meanwhile: run it again.")
    labels = data.read_labels(np.arange(data.num_patches))
    return MemoryData(features, labels, data.patch_ids)


def make_network_key(settings: Settings, weights: WeightsRecord) -> Key:
    """Returns all that decides the features of given pixels, but the pixels."""
    return {
        "format_version": FORMAT_VERSION,
        "network": settings.model,
        "weights": weights,
        "preprocessing": {
            "bands": list(settings.bands),
            "rgb_max": settings.rgb_max,
            "inception_size": settings.inception_size,
        },
        "dtype": settings.features_dtype,
        "tf32": settings.tf32,
        "versions": {name: metadata.version(name) for name in ("keras", "tensorflow")},
    }


def make_patches_key(data: StoreData) -> Key:
    """Identifies patches of a store, their order, and their pixels.

    Ids alone would not do: a synthetic store has the ids of real patches.
    """
    names = split_names(data.split, data.stores.config.release.splits)
    files = [file for name in names for file in data.stores.files(name)]
    return {
        "config": data.stores.config.name,
        "split": data.split,
        "num_patches": data.num_patches,
        "patch_ids_sha256": hash_lines(data.patch_ids),
        "pixels_sha256": hash_lines([file["sha256"] for file in files]),
    }


def _build_model(settings: Settings, weights_path: Path | None) -> keras.Model:
    from baselines.models import build_feature_model

    return build_feature_model(settings, weights_path)


def _fill(
    file: FeatureFile,
    missing: Sequence[slice],
    model: keras.Model,
    data: StoreData,
    dtype: str,
    strategy: tf.distribute.Strategy,
    quiet: bool,
) -> None:
    """Computes blocks; the chief writes each as soon as it is whole."""
    rows = np.concatenate([np.arange(block.start, block.stop) for block in missing])
    blocks, waiting = list(missing), np.empty((0, NUM_FEATURES), dtype)
    nbytes = data.count_nbytes()
    with Progress("features", total_patches=len(rows), quiet=quiet) as progress:
        chosen = ChosenPatches(data, rows)
        for found, _ in compute_outputs(strategy, model, chosen, _BATCH_SIZE):
            with np.errstate(over="ignore"):  # found out before it is written
                waiting = np.concatenate([waiting, found.astype(dtype)])
            progress.add(len(found), len(found) * nbytes)
            while blocks and len(waiting) >= blocks[0].stop - blocks[0].start:
                block = blocks.pop(0)
                features, waiting = np.split(waiting, [block.stop - block.start])
                _check(features, block, file)
                if is_chief(strategy):
                    file.write(block, features)


def _check(features: Array, rows: slice, file: FeatureFile) -> None:
    if not np.isfinite(features).all():
        raise CacheError(
            f"{file.path}: features of patches {rows.start} to {rows.stop - 1} are too "
            f"large for {features.dtype}, or are no numbers. Expected float32 and "
            "TF-Slim's weights."
        )
