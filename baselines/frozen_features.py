"""Features of frozen Inception-v2: computed once, kept on disk, loaded into memory.

A forward pass of 224 pixels costs a thousand times what a step of the head does; with
features at hand, 100 epochs of the head take minutes.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from baselines import feature_cache
from baselines.errors import CacheError
from baselines.feature_cache import FeatureShards, Key, open_cache
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
FORMAT_VERSION = 1
# Patches of a forward pass: measured fastest on a CPU, and it divides a shard.
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
    shards = FeatureShards(folder, data.num_patches, NUM_FEATURES, dtype)
    features = shards.make_array()
    if shards.read_into(features):
        with shards.lock():
            missing = shards.read_into(features)  # another run may have written them
            if missing:
                model = _build_model(settings, weights_path)
                _fill(shards, missing, features, model, data, quiet)
    labels = data.read_labels(np.arange(data.num_patches))
    return FeatureData(features, labels, data.patch_ids)


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
    shards: FeatureShards,
    missing: Sequence[int],
    features: npt.NDArray[Any],
    model: keras.Model,
    data: StoreData,
    quiet: bool,
) -> None:
    """Computes shards, into the array and onto the disk."""
    import tensorflow as tf

    rows = [shards.rows(shard) for shard in missing]
    total = sum(r.stop - r.start for r in rows)
    forward = tf.function(
        lambda inputs: model(inputs, training=False), reduce_retracing=True
    )
    with Progress("features", total_patches=total, quiet=quiet) as progress:
        for shard, chosen in zip(missing, rows, strict=True):
            _compute(forward, data, chosen, features, progress)
            if not np.isfinite(features[chosen]).all():
                raise CacheError(
                    f"{shards.folder}: features of patches {chosen.start} to "
                    f"{chosen.stop - 1} are too large for {features.dtype}, or are no "
                    "numbers. Expected float32 and TF-Slim's weights."
                )
            shards.write(shard, features[chosen])


def _compute(
    forward: Any,
    data: StoreData,
    rows: slice,
    features: npt.NDArray[Any],
    progress: Progress,
) -> None:
    """Computes the features of some patches, from the start of a batch on."""
    assert feature_cache.SHARD_PATCHES % _BATCH_SIZE == 0
    batches = data.batches(
        _BATCH_SIZE, seed=None, start_batch=rows.start // _BATCH_SIZE
    )
    start = rows.start
    with unwrap_errors():
        for inputs, _ in batches.take(-(-(rows.stop - start) // _BATCH_SIZE)):
            found = forward(inputs).numpy()
            with np.errstate(over="ignore"):  # found out where it is written
                features[start : start + len(found)] = found
            start += len(found)
            progress.add(len(found), count_nbytes(inputs))
