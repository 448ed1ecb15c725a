"""Numbers of a training for TensorBoard, which is not needed to write them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

# Takes a name (`loss/epoch`, for example), a number, and the steps of training done.
Log: TypeAlias = Callable[[str, float, int], None]


@contextlib.contextmanager
def open_log(folder: Path) -> Iterator[Log]:
    """Opens a new event file; those that are there stay.

    Args:
        folder: The folder; made if missing.

    Yields:
        What writes a number.
    """
    import tensorflow as tf

    # What tf.summary.scalar writes; that one needs TensorBoard installed.
    kind = tf.compat.v1.SummaryMetadata(
        plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
    )
    writer = tf.summary.create_file_writer(str(folder))

    def write(name: str, value: float, step: int) -> None:
        with writer.as_default():
            tf.summary.write(name, tf.constant(value, tf.float32), step, kind)

    try:
        yield write
    finally:
        writer.close()
