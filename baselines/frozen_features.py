"""Features of frozen Inception-v2: computed once, kept on disk, mapped into memory.

A forward pass of 224 pixels costs a thousand times what a step of the head does; with
features at hand, 100 epochs of the head take minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from baselines import feature_cache
from baselines.errors import CacheError
from baselines.feature_cache import Array, FeatureFile, Key, open_cache
from baselines.feature_data import FeatureData
from baselines.input_pipeline import StoreData, count_nbytes, unwrap_errors
from baselines.models.inception_v2 import NUM_FEATURES
from baselines.models.weights import WeightsRecord, describe_weights
from baselines.settings import Settings, split_names
from bigearthnet.store.compatibility import hash_lines
from bigearthnet.util.progress import Progress

if TYPE_CHECKING:
    import keras

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
    quiet: bool = False,
) -> FeatureData:
    """Loads the features of patches, after computing those that are not cached.

    Args:
        settings: Network, weights, preprocessing, and type of the features.
        data: The patches.
        weights_path: Checkpoint of the network; see `models.weights`.
        cache_dir: Folder of caches, or the cache of one network; see `open_cache`.
        quiet: Shows no progress.

    Raises:
        WeightsError: If the weights are missing, or are others.
        CacheError: If a cache of another network was given, or the features are too
            large for their type.
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
    if file.find_missing():
        with file.lock():
            missing = file.find_missing()  # another run may have written them
            if missing:
                model = _build_model(settings, weights_path)
                _fill(file, missing, model, data, dtype, quiet)
    features = file.map()
    if features is None:
        raise CacheError(f"{file.path} was removed meanwhile: run it again.")
    return FeatureData(
        features, data.read_labels(np.arange(data.num_patches)), data.patch_ids
    )


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
        "versions": {name: metadata.version(name) for name in ("keras", "tensorflow")},
    }


def make_patches_key(data: StoreData) -> Key:
    """Identifies patches of a store, their order, and their pixels.

    Ids alone would not do: a synthetic store has the ids of real patches.
    """
    files = [f for name in split_names(data.split) for f in data.store.files(name)]
    return {
        "config": data.store.config.name,
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
    quiet: bool,
) -> None:
    """Computes blocks and writes them."""
    import tensorflow as tf

    total = sum(rows.stop - rows.start for rows in missing)
    forward = tf.function(
        lambda inputs: model(inputs, training=False), reduce_retracing=True
    )
    with Progress("features", total_patches=total, quiet=quiet) as progress:
        for rows in missing:
            features = _compute(forward, data, rows, progress)
            with np.errstate(over="ignore"):  # found out here
                features = features.astype(dtype)
            if not np.isfinite(features).all():
                raise CacheError(
                    f"{file.path}: features of patches {rows.start} to "
                    f"{rows.stop - 1} are too large for {dtype}, or are no "
                    "numbers. Expected float32 and TF-Slim's weights."
                )
            file.write(rows, features)


def _compute(
    forward: Callable[..., Any], data: StoreData, rows: slice, progress: Progress
) -> Array:
    """Computes the features of some patches, from the start of a batch on."""
    assert feature_cache.BLOCK_PATCHES % _BATCH_SIZE == 0
    start = rows.start // _BATCH_SIZE
    batches = data.batches(_BATCH_SIZE, seed=None, start_batch=start)
    found = []
    with unwrap_errors():
        for inputs, _ in batches.take(-(-(rows.stop - rows.start) // _BATCH_SIZE)):
            found.append(forward(inputs).numpy())
            progress.add(len(found[-1]), count_nbytes(inputs))
    return np.concatenate(found)
