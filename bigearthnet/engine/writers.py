"""Writes examples to files: one writer for TFRecord, one for all column formats.

All formats of a shard are written in one pass over its examples; each table is made
once for all column formats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bigearthnet.formats import FORMATS
from bigearthnet.formats.tfrecord.encode import make_encoder
from bigearthnet.formats.tfrecord.framing import RECORD_OVERHEAD, frame
from bigearthnet.schema.configs import Config
from bigearthnet.schema.examples import Example
from bigearthnet.schema.features import Feature
from bigearthnet.util.files import DurableFile


class TFRecordWriter:
    """Writes examples as records, one at a time."""

    def __init__(self, file: DurableFile, schema: tuple[Feature, ...]) -> None:
        self._file = file
        self._encode = make_encoder(schema)

    def add(self, example: Example) -> None:
        """Writes the record of an example."""
        data = self._encode(example)
        nbytes = len(data) + RECORD_OVERHEAD
        self._file.write_pieces(frame(data), nbytes)
        self._file.data_nbytes += len(data)

    def close(self) -> None:
        """Does nothing: every record is written."""

    def abandon(self) -> None:
        """Does nothing: no record is buffered."""


class TableWriter:
    """Writes examples as tables of `columns.ROWS_PER_GROUP` rows."""

    def __init__(
        self, files: Mapping[str, DurableFile], schema: tuple[Feature, ...]
    ) -> None:
        """Opens the writers of all column formats.

        Args:
            files: Name of the format → its file.
            schema: The columns.
        """
        from bigearthnet.formats import arrow, columns, parquet

        sinks: dict[str, Callable[..., parquet.ParquetSink | arrow.ArrowSink]] = {
            "parquet": parquet.ParquetSink,
            "arrow": arrow.ArrowSink,
        }
        self._builder = columns.TableBuilder(schema)
        arrow_schema = columns.make_arrow_schema(schema)
        self._outputs = [
            (file, sinks[name](file, arrow_schema)) for name, file in files.items()
        ]

    def add(self, example: Example) -> None:
        """Buffers an example, and writes the table when it is full."""
        self._builder.add(example)
        if self._builder.is_full:
            self._write()

    def close(self) -> None:
        """Writes the last, shorter table, and the footers of the formats."""
        if len(self._builder):
            self._write()
        for _, sink in self._outputs:
            sink.close()

    def abandon(self) -> None:
        """Discards the tables that are not written yet."""
        for _, sink in self._outputs:
            sink.abandon()

    def _write(self) -> None:
        table = self._builder.take()
        for file, sink in self._outputs:
            sink.write_table(table)
            file.data_nbytes += table.nbytes


def make_writers(
    files: Mapping[str, DurableFile], config: Config
) -> list[TFRecordWriter | TableWriter]:
    """Makes the writers of one shard.

    Each takes examples (`add`), writes what is buffered (`close`), or discards it after
    an error (`abandon`). The caller finishes the files.

    Args:
        files: Name of each format → its file.
        config: What to store.
    """
    writers: list[TFRecordWriter | TableWriter] = []
    if "tfrecord" in files:
        writers.append(TFRecordWriter(files["tfrecord"], config.schema))
    tables = {name: file for name, file in files.items() if FORMATS[name].has_columns}
    if tables:
        writers.append(TableWriter(tables, config.columns))
    return writers
