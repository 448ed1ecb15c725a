"""Features on disk: shards of arrays, in a folder that says what they are of.

    <cache>/inception_v2-<hash>/key.json    weights, preprocessing, versions
                        <split>-<hash>/key.json     patches and their pixels
                                       index.json   rows and sha256 of each shard
                                       00000.npy    features of 2,048 patches

Whatever decides a feature is part of a key, and another key is another folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from baselines.errors import CacheError
from bigearthnet.util.files import DurableFile, read_json_object, write_json
from bigearthnet.util.locks import try_lock

# Everything that decides what is cached, as JSON has it.
Key: TypeAlias = "Mapping[str, Any]"
Array: TypeAlias = "npt.NDArray[Any]"

KEY = "key.json"
INDEX = "index.json"
# 8 MB of float32 a shard; a run that is killed loses half a minute of work at most.
SHARD_PATCHES = 2048
# Seconds between two tries to take the lock.
_LOCK_INTERVAL_S = 0.2
# Hexadecimal digits of a key's hash in the name of its folder.
_HASH_DIGITS = 16


def open_cache(
    cache_dir: Path, name: str, network: Key, split: str, patches: Key
) -> Path:
    """Finds the folder of some patches' features, or makes it.

    Args:
        cache_dir: Folder of all caches; or one network's, which holds a key.json and
            then has to be of this network.
        name: Name of the network.
        network: What decides the features of given pixels.
        split: Name of the patches.
        patches: What decides the pixels.

    Raises:
        CacheError: If the folder is of another key, or its key cannot be read.
        OSError: If it cannot be made.
    """
    folder = cache_dir
    if not (cache_dir / KEY).is_file():
        folder = cache_dir / f"{name}-{_hash_key(network)}"
    _claim(folder, network)
    folder = folder / f"{split}-{_hash_key(patches)}"
    _claim(folder, patches)
    return folder


def _hash_key(key: Key) -> str:
    text = json.dumps(key, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_DIGITS]


def _claim(folder: Path, key: Key) -> None:
    """Writes the key of a new folder, or checks that of an old one."""
    path = folder / KEY
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(key, path)
        return
    try:
        found = read_json_object(path)
    except (OSError, ValueError) as cause:
        raise CacheError(
            f"{path} cannot be read ({cause}): remove the folder, and its features "
            "are computed again."
        ) from None
    for name in [*key, *found]:
        if found.get(name) != key.get(name):
            raise CacheError(
                f"{folder} holds features of other {name}: expected {key.get(name)}, "
                f"got {found.get(name)}. Give another folder, or none."
            )


class FeatureShards:
    """The shards of some patches' features.

    Attributes:
        folder: Where they are.
        num_shards: How many there are once all are written.
    """

    def __init__(self, folder: Path, num_patches: int, width: int, dtype: str) -> None:
        """Takes a folder that `open_cache` returned.

        Args:
            folder: The folder.
            num_patches: How many patches there are.
            width: Features of a patch.
            dtype: Type of the features, `float32` or `float16`.
        """
        self.folder = folder
        self.num_shards = -(-num_patches // SHARD_PATCHES)
        self._num_patches, self._width, self._dtype = num_patches, width, dtype

    def make_array(self) -> Array:
        """Makes room for all features, shape (patch, feature)."""
        return np.empty((self._num_patches, self._width), self._dtype)

    def rows(self, shard: int) -> slice:
        """Returns which patches are in a shard."""
        start = shard * SHARD_PATCHES
        return slice(start, min(start + SHARD_PATCHES, self._num_patches))

    def read_into(self, features: Array) -> list[int]:
        """Reads all shards that exist.

        A damaged one is reported and counts as missing.

        Args:
            features: What `make_array` returned; filled from the shards that exist.

        Returns:
            Numbers of the missing shards.
        """
        index = self._read_index()
        missing = []
        for shard in range(self.num_shards):
            rows = features[self.rows(shard)]
            path = self.folder / _name(shard)
            if path.name in index and path.is_file():
                content = path.read_bytes()
                digest = hashlib.sha256(content).hexdigest()
                if index[path.name] == _describe(rows, digest):
                    rows[:] = np.load(io.BytesIO(content), allow_pickle=False)
                    continue
                print(f"{path} is damaged: it is computed again.", file=sys.stderr)
            missing.append(shard)
        return missing

    def write(self, shard: int, features: Array) -> None:
        """Writes a shard; it appears whole and durable, and then in the index.

        Args:
            shard: Its number.
            features: Its features, shape (patch, feature).

        Raises:
            OSError: If it cannot be written.
        """
        with DurableFile(self.folder, _name(shard)) as file:
            np.save(file, features, allow_pickle=False)
            written = file.finish()
        entry = _describe(features, written.sha256)
        index = {**self._read_index(), written.name: entry}
        write_json(dict(sorted(index.items())), self.folder / INDEX)

    def _read_index(self) -> dict[str, Any]:
        path = self.folder / INDEX
        try:
            return read_json_object(path)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            print(f"{path} is damaged: all is computed again.", file=sys.stderr)
            return {}

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Lets one process at a time fill the folder; others wait."""
        path, is_told = self.folder / "lock", False
        with path.open("w") as file:
            while not try_lock(file.fileno(), path):
                if not is_told:
                    where = f"another run that computes {self.folder}"
                    print(f"waiting for {where}", file=sys.stderr)
                is_told = True
                time.sleep(_LOCK_INTERVAL_S)
            yield


def _name(shard: int) -> str:
    return f"{shard:05}.npy"


def _describe(features: Array, sha256: str) -> dict[str, Any]:
    """Returns the entry of a shard in the index."""
    return {"rows": len(features), "sha256": sha256}
