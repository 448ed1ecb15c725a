"""Measures a feed of tf.data's own operations beside that of baselines.train.

It reads TFRecord in the drawn order, too: `TFRecordDatasetV2` can begin at any offset,
and the offsets of records follow from their lengths. Batches are the same bits in the
same order. Processor time of all threads says what more cores could give; "in order" is
tf.data without any order, the least that a graph can cost.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from baselines.input_pipeline import Order, ReadAhead
from baselines.settings import Settings
from baselines.stored_rows import StoreData
from benchmarks.feeding import FORMATS, TRAIN_SPLITS, op_determinism, open_data

if TYPE_CHECKING:
    import tensorflow as tf

# Of a TFRecord: length and its checksum before the data, the checksum of these after.
_HEAD, _TAIL = 12, 4
# Bytes that a read takes at a time: a record of all bands.
_BUFFER = 180_000


class GraphFeed:
    """A TFRecord store as batches of tf.data's own operations."""

    def __init__(self, data: StoreData, parallel: int) -> None:
        """Finds the records of all patches, and how each is decoded.

        Args:
            data: Patches of a TFRecord store.
            parallel: Calls of tf.data at the same time.
        """
        (store,) = data.stores.parts
        names = data.split.split("+")
        self.paths = [str(p) for name in names for p in store.shards(name)]
        starts = [find_records(Path(path)) for path in self.paths]
        self._files = np.repeat(self.paths, [len(each) for each in starts])
        self._starts, self._parallel = np.concatenate(starts), parallel
        vector = store.config.release.label_sets[0].vector
        inputs, _ = data.read(np.arange(0))
        self._features = {f.name: f for f in store.features}
        self._vector, self._groups = vector, tuple(inputs)

    def batches(self, order: Order) -> tf.data.Dataset:
        """Makes the batches of `PatchData.batches`, of every patch once."""
        import tensorflow as tf

        rows = order.draw(len(self._starts))
        places = (self._files[rows], self._starts[rows])
        records = tf.data.Dataset.from_tensor_slices(places).interleave(
            _read_record,
            cycle_length=4 * self._parallel,
            num_parallel_calls=self._parallel,
            deterministic=True,
        )
        return self._decode(records, order.batch_size)

    def batches_in_order(self, order: Order) -> tf.data.Dataset:
        """Makes batches of the files as they lie, several at the same time."""
        import tensorflow as tf

        records = tf.data.Dataset.from_tensor_slices(self.paths).interleave(
            tf.data.TFRecordDataset,
            num_parallel_calls=self._parallel,
            deterministic=True,
        )
        return self._decode(records, order.batch_size)

    def _decode(self, records: tf.data.Dataset, batch_size: int) -> tf.data.Dataset:
        import tensorflow as tf

        names = (*self._groups, self._vector)
        spec = {name: tf.io.FixedLenFeature((), tf.string) for name in names}

        def decode(batch: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
            found = {
                name: tf.reshape(
                    tf.io.decode_raw(content, self._features[name].dtype),
                    (-1, *self._features[name].shape),
                )
                for name, content in tf.io.parse_example(batch, spec).items()
            }
            return found, found.pop(self._vector)

        return (
            records.batch(batch_size)
            .map(decode, num_parallel_calls=self._parallel, deterministic=True)
            .prefetch(2)
        )


def find_records(path: Path) -> npt.NDArray[np.int64]:
    """Returns where the records of a TFRecord file begin."""
    content, starts, start = np.memmap(path, np.uint8, "r"), [], 0
    while start < len(content):
        starts.append(start)
        length = content[start : start + 8].view("<u8")[0]
        start += _HEAD + int(length) + _TAIL
    return np.array(starts, np.int64)


def _read_record(path: tf.Tensor, start: tf.Tensor) -> tf.data.Dataset:
    import tensorflow as tf

    variant = tf.raw_ops.TFRecordDatasetV2(
        filenames=[path],
        compression_type="",
        buffer_size=tf.constant(_BUFFER, tf.int64),
        byte_offsets=[start],
    )
    spec = tf.TensorSpec((), tf.string)
    return tf.data.experimental.from_variant(variant, spec).take(1)


def measure_graph(
    data_dir: Path, batch_size: int, *, patches: int, turns: int, ahead: ReadAhead
) -> dict[str, Any]:
    """Measures all ways turn by turn, alone, with op determinism.

    Args:
        data_dir: The data directory of a build in both formats.
        batch_size: Patches of a batch.
        patches: Patches of a turn, about.
        turns: How often each way is measured.
        ahead: How far the default reads ahead.

    Returns:
        Name of each way → medians of processor s per 1,000 patches, patches/s.
    """
    settings = Settings(train_split=TRAIN_SPLITS, validation_split="none")
    stores = {form: open_data(data_dir, settings, form, ahead) for form in FORMATS}
    graph = GraphFeed(stores["tfrecord"], ahead.parallel_reads)
    ways: Mapping[str, Callable[[Order], Iterable[Any]]] = {
        **{f"default, {form}": data.batches for form, data in stores.items()},
        "graph, tfrecord": graph.batches,
        "graph, tfrecord, in order": graph.batches_in_order,
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    with op_determinism():
        for turn in range(turns):
            for name, make in ways.items():
                found[name].append(_measure(make, batch_size, patches, turn))
    medians = {
        name: {
            "cpu_seconds_per_1000": statistics.median(cpu for cpu, _ in values),
            "patches_per_s": statistics.median(rate for _, rate in values),
        }
        for name, values in found.items()
    }
    return {"batch_size": batch_size, "ways": medians}


def _measure(
    make: Callable[[Order], Iterable[Any]], batch_size: int, patches: int, seed: int
) -> tuple[float, float]:
    """Returns processor seconds per 1,000 patches, and patches/s, from batch two on."""
    epochs = (make(Order(batch_size, seed, epoch)) for epoch in itertools.count())
    batches = itertools.chain.from_iterable(epochs)
    next(batches)
    cpu, wall = time.process_time(), time.monotonic()
    taken = itertools.islice(batches, -(-patches // batch_size))
    count = sum(len(labels) for _, labels in taken)
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    return 1000 * cpu / count, count / wall


def format_results(rows: list[dict[str, Any]]) -> str:
    """Returns the figures as a table in Markdown."""
    lines = ["| batch | feed | CPU s / 1,000 patches | patches/s |"]
    lines.append("| ---: | --- | ---: | ---: |")
    for row in rows:
        for way, found in row["ways"].items():
            cpu, rate = found["cpu_seconds_per_1000"], found["patches_per_s"]
            lines.append(f"| {row['batch_size']} | {way} | {cpu:.3f} | {rate:,.0f} |")
    return "\n".join(lines)
