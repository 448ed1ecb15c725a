from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import kernels

from baselines import cached_data
from baselines.cached_data import DeviceData, Place, cache_patches, check_memory
from baselines.input_pipeline import Order, PatchData
from baselines.memory_data import MemoryData
from baselines.settings import Settings
from baselines.stored_rows import StoreData, open_random_access
from bigearthnet.errors import OptionError

PLACES: tuple[Place, ...] = ("host", "device")


@pytest.fixture
def data(many_shards: Path) -> StoreData:
    """The six fake patches, one in each shard."""
    splits = "train+validation+test+excluded"
    settings = Settings(train_split=splits, validation_split="none")
    return StoreData(open_random_access(many_shards, "s2"), settings)


def feed(data: PatchData, **order: Any) -> list[Any]:
    """Batches of up to four patches as arrays."""
    batches = data.feed(tf.distribute.get_strategy(), Order(4, **order))
    return [tf.nest.map_structure(np.asarray, batch) for batch in batches]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "order", [{}, {"seed": 1, "epoch": 2}, {"seed": 1, "start_batch": 1}]
)
def test_kept_patches_come_as_those_of_the_store(
    data: StoreData, place: Place, order: dict[str, Any]
) -> None:
    """Order, types and bits are the same wherever patches are kept."""
    kept = cache_patches(data, place, tf.distribute.get_strategy())
    before, after = feed(data, **order), feed(kept, **order)

    assert data.ids_sha256 == kept.ids_sha256
    assert len(before) == len(after)
    for one, other in zip(before, after, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, one, other)
        assert tf.nest.map_structure(lambda x: x.dtype, one) == (
            tf.nest.map_structure(lambda x: x.dtype, other)
        )


def test_radar_is_kept_as_it_is() -> None:
    """Backscatter, float32, comes back from a device to the last bit."""
    pixels = np.linspace(-60, 5, 6 * 8, dtype=np.float32).reshape(6, 2, 2, 2)
    labels = np.eye(6, 19, dtype=np.uint8)
    data = MemoryData({"bands_s1": pixels}, labels, [*"abcdef"])
    kept = cache_patches(data, "device", tf.distribute.get_strategy())

    for one, other in zip(feed(data, seed=1), feed(kept, seed=1), strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, one, other)


@pytest.mark.skipif(not tf.test.is_built_with_cuda(), reason="knows no GPU")
def test_a_gpu_looks_up_what_it_keeps(data: StoreData) -> None:
    """TensorFlow has kernels for it on GPUs, so that it stays there."""
    (held,) = DeviceData(data, tf.distribute.get_strategy())._held
    names = {"GatherV2": "Tparams", "Cast": "SrcT", "ConcatV2": "T"}
    for operation, name in names.items():
        on_gpu = {
            kind
            for kernel in kernels.get_registered_kernels_for_op(operation).kernel
            if kernel.device_type == "GPU"
            for constraint in kernel.constraint
            if constraint.name == name
            for kind in constraint.allowed_values.list.type
        }
        found = [tensor.dtype.as_datatype_enum for tensor in tf.nest.flatten(held)]
        assert 4 == len(found)
        assert on_gpu.issuperset(found)


@pytest.mark.parametrize("place", PLACES)
def test_kept_patches_are_read_once(data: StoreData, place: Place) -> None:
    """Epochs read nothing from the store."""
    kept = cache_patches(data, place, tf.distribute.get_strategy())
    data._reader = None  # type: ignore[assignment]

    assert [4, 2, 4, 2] == [
        len(labels) for epoch in (0, 1) for _, labels in feed(kept, seed=0, epoch=epoch)
    ]


def test_nothing_is_kept_unless_asked_for(data: StoreData) -> None:
    """Without a place, the patches are those of the store."""
    assert data is cache_patches(data, "none", tf.distribute.get_strategy())


@pytest.mark.parametrize("place", PLACES)
def test_too_little_memory_is_refused(
    data: StoreData,
    place: Place,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What the patches need and what there is are told; less is an error."""
    meminfo = tmp_path / "meminfo"
    monkeypatch.setattr(cached_data, "_MEMINFO", meminfo)
    strategy = tf.distribute.get_strategy()
    # 160,000 bytes of the 12 bands of each of the six.
    meminfo.write_text("MemTotal: 9000 kB\nMemAvailable:    938 kB\n")
    check_memory(data, place, strategy)
    told = capsys.readouterr().out
    meminfo.write_text("MemAvailable:    937 kB\n")

    assert "6 patches need 0.00096 GB, the host has 0.000961 GB" in told
    with pytest.raises(OptionError, match=r"the host has 0.000959 GB.*--cache=none"):
        check_memory(data, place, strategy)


TWO_DEVICES = """
import sys
from pathlib import Path
import numpy as np
import tensorflow as tf
[cpu] = tf.config.list_physical_devices("CPU")
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, two)
from baselines.cached_data import DeviceData
from baselines.input_pipeline import Order, PatchData

class Numbers(PatchData):
    def read(self, rows):
        column = rows[:, None]
        return {"x": 9_999 * column.astype(np.uint16)}, column.astype(np.uint8)

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
data = Numbers(list("abcde"))
kept = DeviceData(data, strategy)
print(*[len(labels) for _, labels in kept._held], end=";")
for order in (Order(4), Order(4, seed=1, epoch=2), Order(3, seed=1, start_batch=1)):
    feeds = data.feed(strategy, order), kept.feed(strategy, order)
    for batches in zip(*feeds, strict=True):
        for pair in zip(*map(tf.nest.flatten, batches), strict=True):
            parts = map(strategy.experimental_local_results, pair)
            for before, after in zip(*parts, strict=True):
                np.testing.assert_array_equal(before, after)
                print(before.dtype == after.dtype, after.device[-1], end=";")
"""


def test_each_device_keeps_a_slice_and_has_its_part() -> None:
    """Parts are where they are needed, and those of patches that are read."""
    line = [sys.executable, "-c", TWO_DEVICES]
    done = subprocess.run(line, capture_output=True, text=True, check=False)

    # Two tensors of each batch, on two devices.
    assert "3 2;" + 10 * "True 0;True 1;" == done.stdout, done.stderr[-2000:]
