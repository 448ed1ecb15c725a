"""Patches that are read once and kept in memory, of the host or of each device.

Order and content of batches are those of the patches where they come from.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from baselines.input_pipeline import MakeBatches, PatchData, count_patch_nbytes
from bigearthnet.errors import OptionError

if TYPE_CHECKING:
    import tensorflow as tf

# Where patches are kept; none reads them from the store, each time.
Place: TypeAlias = Literal["none", "host", "device"]

_MEMINFO = Path("/proc/meminfo")


class HostData(PatchData):
    """Patches in the memory of the host."""

    def __init__(self, data: PatchData) -> None:
        """Reads all patches.

        Args:
            data: Where they come from.

        Raises:
            ShardError: If a shard is damaged.
        """
        super().__init__(data.patch_ids, data.ahead)
        self._inputs, self._labels = data.read(np.arange(data.num_patches))

    def read(self, rows: npt.NDArray[np.int64]) -> tuple[Any, npt.NDArray[np.uint8]]:
        """Looks up some patches; see `PatchData.read`."""
        import tensorflow as tf

        inputs = tf.nest.map_structure(lambda array: array[rows], self._inputs)
        return inputs, self._labels[rows]


class DeviceData(PatchData):
    """Patches in the memory of every device: an order takes each of them to any."""

    def __init__(self, data: PatchData, strategy: tf.distribute.Strategy) -> None:
        """Reads all patches, and copies them to the devices.

        Args:
            data: Where they come from.
            strategy: Where to compute.

        Raises:
            ShardError: If a shard is damaged.
        """
        import tensorflow as tf

        super().__init__(data.patch_ids, data.ahead)
        self._data, self._strategy = data, strategy
        held = data.read(np.arange(data.num_patches))
        self._held: dict[str, Any] = {}
        for device in find_devices(strategy):
            with tf.device(device):
                self._held[device] = tf.nest.map_structure(_hold, held)

    def read(self, rows: npt.NDArray[np.int64]) -> tuple[Any, npt.NDArray[np.uint8]]:
        """Reads some patches from where they come from; see `PatchData.read`."""
        return self._data.read(rows)

    def feed(
        self,
        distribute: Callable[[MakeBatches], Iterable[Any]],
        batch_size: int,
        *,
        seed: int | None,
        epoch: int = 0,
        start_batch: int = 0,
    ) -> Iterator[Any]:
        """Looks up batches on the devices, which get the numbers of patches alone."""
        make = functools.partial(self.make_rows, batch_size, seed, epoch, start_batch)
        for batch in distribute(make):
            yield self._look_up(batch)

    def _look_up(self, rows: Any) -> Any:
        """Looks up the patches of a batch, each on its device."""
        import tensorflow as tf

        found = []
        parts = self._strategy.experimental_local_results(rows)
        for (device, held), part in zip(self._held.items(), parts, strict=True):
            with tf.device(device):
                look_up = functools.partial(_look_up, rows=part)
                found.append(tf.nest.map_structure(look_up, held))
        values = iter(found)
        return self._strategy.experimental_distribute_values_from_function(
            lambda _: next(values)
        )


def _hold(array: npt.NDArray[np.uint16 | np.float32 | np.uint8]) -> tf.Tensor:
    """Copies pixels or labels to the device, for `_look_up`.

    TensorFlow gathers neither uint16 nor uint8 on a GPU, but would do so on the host
    (2.21): bits of such pixels are held as those of bfloat16, labels as float16.
    """
    import tensorflow as tf

    if array.dtype == np.uint16:
        return tf.constant(array.view(tf.bfloat16.as_numpy_dtype))
    return tf.constant(array, tf.float16 if array.dtype == np.uint8 else None)


def _look_up(held: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Returns some rows of what `_hold` was given."""
    import tensorflow as tf

    found = tf.gather(held, rows)
    if held.dtype == tf.bfloat16:
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
    return HostData(data) if place == "host" else DeviceData(data, strategy)


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
    need = data.num_patches * count_patch_nbytes(data)
    places = {"the host": _count_host()}
    if place == "device":  # they pass through the host
        places |= {name: _count_device(name) for name in find_devices(strategy)}
    for name, free in places.items():
        text = (
            f"cache: {data.num_patches:,} patches need {need / 1e9:.3g} GB, "
            f"{name} has {free / 1e9:.3g} GB"
        )
        if free < need:
            raise OptionError(
                f"{text}. Expected --cache=none, --fraction, or more memory."
            )
        print(f"{text}.", flush=True)


def find_devices(strategy: tf.distribute.Strategy) -> tuple[str, ...]:
    """Returns the names of the devices that a strategy computes on, of this host."""
    import tensorflow as tf

    if strategy.num_replicas_in_sync > 1:
        return tuple(strategy.extended.worker_devices)
    gpus = tf.config.list_logical_devices("GPU")
    return ((gpus or tf.config.list_logical_devices("CPU"))[0].name,)


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
