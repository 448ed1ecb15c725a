"""Patches that are read once and kept in memory, of the host or of its devices.

Order and content of batches are those of the patches where they come from.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from baselines.cluster import read_cluster
from baselines.devices import find_devices
from baselines.input_pipeline import Order, PatchData
from baselines.memory_data import MemoryData
from bigearthnet.errors import OptionError

if TYPE_CHECKING:
    import tensorflow as tf

# Where patches are kept; none reads them from the store, each time.
Place: TypeAlias = Literal["none", "host", "device"]

_MEMINFO = Path("/proc/meminfo")


class DeviceData(PatchData):
    """Patches in the memory of the devices of this host, each of which keeps a slice.

    An order takes any patch to any device: each gets what it needs from the others, so
    that batches are those of patches that are read.
    """

    def __init__(self, data: PatchData, strategy: tf.distribute.Strategy) -> None:
        """Reads all patches, and copies them to the devices, slice by slice.

        Args:
            data: Where they come from.
            strategy: Where to compute.

        Raises:
            ShardError: If a shard is damaged.
        """
        import tensorflow as tf

        super().__init__(data.patch_ids, data.ahead)
        self._data, self._devices = data, find_devices(strategy)
        slices = np.array_split(np.arange(self.num_patches), len(self._devices))
        self._stops = np.cumsum([len(rows) for rows in slices])
        self._held = []
        for device, rows in zip(self._devices, slices, strict=True):
            with tf.device(device):
                self._held.append(tf.nest.map_structure(_hold, data.read(rows)))

    def read(self, rows: npt.NDArray[np.int64]) -> tuple[Any, npt.NDArray[np.uint8]]:
        """Reads some patches from where they come from; see `PatchData.read`."""
        return self._data.read(rows)

    def feed(self, strategy: tf.distribute.Strategy, order: Order) -> Iterator[Any]:
        """Looks up batches on the devices, which get the numbers of patches alone."""
        cluster, here = read_cluster(), len(self._devices)
        first = 0 if cluster is None else cluster.index * here
        numbers = order.draw(self.num_patches)
        for start in range(0, len(numbers), order.batch_size):
            batch = numbers[start : start + order.batch_size]
            parts = np.array_split(batch, strategy.num_replicas_in_sync)
            found = map(self._look_up, self._devices, parts[first : first + here])
            yield strategy.experimental_distribute_values_from_function(
                lambda _, found=found: next(found)
            )

    def _look_up(self, device: str, rows: npt.NDArray[np.int64]) -> Any:
        """Looks up patches where they are kept, and joins them on a device."""
        import tensorflow as tf

        keepers = np.searchsorted(self._stops, rows, side="right")
        found = []
        for keeper, (where, held) in enumerate(
            zip(self._devices, self._held, strict=True)
        ):
            first = self._stops[keeper - 1] if keeper else 0
            take = functools.partial(tf.gather, indices=rows[keepers == keeper] - first)
            with tf.device(where):
                found.append(tf.nest.map_structure(take, held))
        order = np.argsort(np.argsort(keepers, kind="stable"))
        with tf.device(device):
            return tf.nest.map_structure(lambda *kept: _join(kept, order), *found)


def _hold(array: npt.NDArray[Any]) -> tf.Tensor:
    """Copies pixels or labels to the device, for `_join`.

    TensorFlow gathers neither uint16 nor uint8 on a GPU, but would do so on the host
    (2.21): bits of pixels are held as those of bfloat16, labels as float16. Radar is
    float32, and stays so.
    """
    import tensorflow as tf

    if array.dtype == np.uint16:
        return tf.constant(array.view(tf.bfloat16.as_numpy_dtype))
    return tf.constant(array, tf.float16 if array.dtype == np.uint8 else None)


def _join(kept: Sequence[tf.Tensor], order: npt.NDArray[np.int64]) -> tf.Tensor:
    """Joins rows of what `_hold` made, in an order, and undoes what it did."""
    import tensorflow as tf

    found = kept[0]
    if len(kept) > 1:
        found = tf.gather(tf.concat(kept, 0), order)
    if found.dtype == tf.bfloat16:
        return tf.bitcast(found, tf.uint16)
    return tf.cast(found, tf.uint8) if found.dtype == tf.float16 else found


def cache_patches(
    data: PatchData, place: Place, strategy: tf.distribute.Strategy
) -> PatchData:
    """Reads patches into memory, if that is asked for.

    Args:
        data: The patches.
        place: Where they are kept.
        strategy: Where to compute.

    Raises:
        ShardError: If a shard is damaged.
    """
    if place == "none":
        return data
    if place == "device":
        return DeviceData(data, strategy)
    kept = data.read(np.arange(data.num_patches))
    return MemoryData(*kept, data.patch_ids, data.ahead)


def check_memory(
    data: PatchData, place: Place, strategy: tf.distribute.Strategy
) -> None:
    """Refuses to keep patches where there is too little memory; says what it takes.

    Args:
        data: The patches.
        place: Where they are kept.
        strategy: Where to compute.

    Raises:
        OptionError: If they do not fit.
    """
    if place == "none":
        return
    places, patches = {"the host": _count_host()}, data.num_patches
    if place == "device":  # slices pass through the host
        devices = find_devices(strategy)
        places |= {name: _count_device(name) for name in devices}
        patches = -(-patches // len(devices))
    need = patches * data.count_nbytes()
    for name, free in places.items():
        text = (
            f"cache: {patches:,} patches need {need / 1e9:.3g} GB, "
            f"{name} has {free / 1e9:.3g} GB"
        )
        if free < need:
            raise OptionError(
                f"{text}. Expected --cache=none, --fraction, or more memory."
            )
        print(f"{text}.", flush=True)


def _count_host() -> int:
    """Returns the bytes of memory that programs can still have."""
    if _MEMINFO.exists():
        found = re.search(r"^MemAvailable: +(\d+) kB$", _MEMINFO.read_text(), re.M)
        if found:
            return 1024 * int(found[1])
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _count_device(name: str) -> int:
    """Returns the bytes that TensorFlow can still have on a device."""
    import tensorflow as tf
    from tensorflow.python.client import device_lib  # nothing public tells the limit

    device = tf.DeviceSpec.from_string(name)
    if device.device_type == "CPU":
        return _count_host()
    short = f"{device.device_type}:{device.device_index}"
    limits = {d.name: d.memory_limit for d in device_lib.list_local_devices()}
    used = tf.config.experimental.get_memory_info(short)["current"]
    return int(limits[f"/device:{short}"] - used)
