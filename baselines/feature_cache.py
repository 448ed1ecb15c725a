"""Features on disk: one array, in a folder that says what it is of.

    <cache>/inception_v2-<hash>/key.json    weights, preprocessing, versions
                        <split>-<hash>/key.json      patches and their pixels
                                       features.npy  shape (patch, feature)
                                       done.json     sha256 of each block of 2,048 rows

Whatever decides a feature is part of a key, and another key is another folder. A block
is durable before `done.json` names it, so that a run that was killed goes on.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from baselines.errors import CacheError
from bigearthnet.util.files import read_json_object, write_json
from bigearthnet.util.locks import try_lock

# Everything that decides what is cached, as JSON has it.
Key: TypeAlias = "Mapping[str, Any]"
Array: TypeAlias = "npt.NDArray[Any]"

KEY, FEATURES, DONE = "key.json", "features.npy", "done.json"
# 8 MB of float32; a run that is killed loses half a minute of work at most.
BLOCK_PATCHES = 2048
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


class FeatureFile:
    """The features of some patches, of which a part may not be computed yet."""

    def __init__(self, folder: Path, num_patches: int, width: int, dtype: str) -> None:
        """Takes a folder that `open_cache` returned.

        Args:
            folder: The folder.
            num_patches: How many patches there are.
            width: Features of a patch.
            dtype: Type of the features, `float32` or `float16`.
        """
        self.path = folder / FEATURES
        self._done = folder / DONE
        self._shape, self._dtype = (num_patches, width), np.dtype(dtype)

    def map(self) -> Array | None:
        """Maps the file into memory, shape (patch, feature); None if it is no such."""
        try:
            features: Array = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        good = (features.shape, features.dtype) == (self._shape, self._dtype)
        return features if good else None

    def find_missing(self) -> list[slice]:
        """Returns the rows of each block that is to be computed.

        A damaged one is reported, and is one of them.
        """
        starts = range(0, self._shape[0], BLOCK_PATCHES)
        blocks = [slice(s, min(s + BLOCK_PATCHES, self._shape[0])) for s in starts]
        done, features, missing = self._read_done(), self.map(), []
        for rows in blocks:
            expected = done.get(str(rows.start))
            found = None if features is None else _hash(features[rows])
            if expected is None or expected != found:
                missing.append(rows)
                if expected is not None:
                    where = f"{self.path}, patches {rows.start} to {rows.stop - 1}"
                    print(f"{where}: damaged, computed again.", file=sys.stderr)
        return missing

    def write(self, rows: slice, features: Array) -> None:
        """Writes a block, and says that it is done once it is durable.

        Not through the map, where a full disk would end the process.

        Args:
            rows: One of the blocks that `find_missing` returned.
            features: Its features, shape (patch, feature).

        Raises:
            OSError: If it cannot be written.
        """
        if self.map() is None:
            np.lib.format.open_memmap(self.path, "w+", self._dtype, self._shape)
        nbytes = self._dtype.itemsize * self._shape[1]
        with self.path.open("r+b") as file:
            header = self.path.stat().st_size - nbytes * self._shape[0]
            file.seek(header + rows.start * nbytes)
            file.write(np.ascontiguousarray(features).data)
            file.flush()
            os.fsync(file.fileno())
        done = {**self._read_done(), str(rows.start): _hash(features)}
        write_json(dict(sorted(done.items(), key=lambda x: int(x[0]))), self._done)

    def _read_done(self) -> dict[str, Any]:
        try:
            found = read_json_object(self._done)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            print(f"{self._done} is damaged: all is computed again.", file=sys.stderr)
            return {}
        return {name: digest for name, digest in found.items() if name.isdecimal()}

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Lets one process at a time fill the folder; others wait."""
        path, is_told = self.path.with_name("lock"), False
        with path.open("w") as file:
            while not try_lock(file.fileno(), path):
                if not is_told:
                    where = f"another run that computes {self.path}"
                    print(f"waiting for {where}", file=sys.stderr)
                is_told = True
                time.sleep(_LOCK_INTERVAL_S)
            yield


def _hash(features: Array) -> str:
    return hashlib.sha256(np.ascontiguousarray(features).data).hexdigest()
