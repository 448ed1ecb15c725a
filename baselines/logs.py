"""Numbers of a training for TensorBoard, which is not needed to write them."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType


class Logs:
    """Event files of a folder; use as a context manager."""

    def __init__(self, folder: Path) -> None:
        """Opens a new event file; what earlier ones say stays.

        Args:
            folder: The folder; made if missing.
        """
        import tensorflow as tf

        self._writer = tf.summary.create_file_writer(str(folder))
        # What tf.summary.scalar writes; that one needs TensorBoard installed.
        self._kind = tf.compat.v1.SummaryMetadata(
            plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
        )

    def write(self, name: str, value: float, step: int) -> None:
        """Writes a number.

        Args:
            name: Its name, `loss/epoch` for example.
            value: The number.
            step: Steps of training done.
        """
        import tensorflow as tf

        with self._writer.as_default():
            tf.summary.write(
                name, tf.constant(value, tf.float32), step=step, metadata=self._kind
            )

    def __enter__(self) -> Logs:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._writer.close()
