"""Numbers and pictures of a training for TensorBoard, which need not be installed.

As Keras does, both splits have an event file of their own, and what they have in common
one name: TensorBoard draws both into one chart.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

Split: TypeAlias = Literal["train", "validation"]

# Where PNG has width and height, big-endian (its specification, section 11.2.2).
_PNG_SIZE = slice(16, 24)


class Logs:
    """Event files of a training, new ones; those that are there stay.

    Attributes:
        writes: Whether anything is written.
    """

    def __init__(self, folder: Path | None) -> None:
        """Opens nothing yet.

        Args:
            folder: The folder; made if missing. None writes nothing.
        """
        self._folder = folder
        self.writes = folder is not None
        self._writers: dict[str, Any] = {}

    def write_number(self, split: Split, name: str, value: float, step: int) -> None:
        """Writes a number.

        Args:
            split: What it is of.
            name: `loss/epoch`, for example.
            value: The number.
            step: Steps of training done.
        """
        import tensorflow as tf

        self._write(split, name, tf.constant(value, tf.float32), step, "scalars")

    def write_picture(self, split: Split, name: str, png: bytes, step: int) -> None:
        """Writes a picture, as a PNG file; see `write_number`."""
        import tensorflow as tf

        size = np.frombuffer(png[_PNG_SIZE], ">u4").tolist()
        content = tf.constant([*(str(n).encode() for n in size), png])
        self._write(split, name, content, step, "images")

    def _write(
        self, split: Split, name: str, content: tf.Tensor, step: int, plugin: str
    ) -> None:
        """Writes what tf.summary's functions do; they need TensorBoard installed."""
        import tensorflow as tf

        if self._folder is None:
            return
        if split not in self._writers:
            path = str(self._folder / split)
            self._writers[split] = tf.summary.create_file_writer(path)
        data = tf.compat.v1.SummaryMetadata.PluginData(plugin_name=plugin)
        kind = tf.compat.v1.SummaryMetadata(plugin_data=data)
        with self._writers[split].as_default():
            tf.summary.write(name, content, step, kind)

    def close(self) -> None:
        """Closes the files."""
        for writer in self._writers.values():
            writer.close()
