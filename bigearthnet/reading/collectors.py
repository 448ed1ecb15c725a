"""Collects the values of one feature of serialized examples into an array of a batch.

Arrays are those of `formats.columns.decode_column`, so that all readers hand out the
same.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bigearthnet.formats.tfrecord.decode import ExampleError, find_bytes, read_integers
from bigearthnet.reading.batches import Column
from bigearthnet.reading.memory import Recycler
from bigearthnet.schema.features import Feature


class Scratch:
    """Memory that one record after the other is read into: it stays in the cache.

    Attributes:
        array: Shape (byte,), uint8.
        view: The same memory; its single bytes are read faster.
    """

    def __init__(self) -> None:
        self.grow(1)

    def grow(self, nbytes: int) -> None:
        """Makes room for as many bytes; what it held is lost."""
        self.array = np.empty(nbytes, np.uint8)
        self.view = self.array.data


class Collector(Protocol):
    """Collects the values of one feature.

    Attributes:
        array: The values, shape (row, …); complete once every row was added.
    """

    array: npt.NDArray[Any]

    def add(self, row: int, record: Scratch, start: int, stop: int) -> None:
        """Takes the value of a row; rows come in order.

        Args:
            row: Number of the row.
            record: What holds the serialized tf.train.Feature.
            start: Where that starts.
            stop: Where it ends.

        Raises:
            ExampleError: If it is not of the feature.
        """


def make_collector(column: Column, rows: int, recycler: Recycler) -> Collector:
    """Returns what collects a column's values of as many rows."""
    feature = column.feature
    if feature.kind == "tensor":
        return _Tensors(column, rows, recycler)
    if feature.kind in ("text", "image"):
        return _Strings(feature, rows)
    return _Integers(feature, rows)


class _Tensors:
    def __init__(self, column: Column, rows: int, recycler: Recycler) -> None:
        feature, stored = column.feature, column.stored
        dtype = np.dtype(feature.dtype).newbyteorder("<")
        self._name = stored.name
        self.array = recycler.take((rows, *feature.shape), dtype.str)
        self._stored_nbytes = math.prod(stored.shape) * dtype.itemsize
        self._nbytes = math.prod(feature.shape) * dtype.itemsize
        self._first = self._nbytes * (column.band or 0)
        flat = self.array.reshape(-1).view(np.uint8)
        self._bytes = flat.reshape(rows, self._nbytes)

    def add(self, row: int, record: Scratch, start: int, stop: int) -> None:
        """Copies the bytes of a tensor, or of one band of it; see `Collector.add`."""
        start, stop = find_bytes(record.view, start, stop)
        if stop - start != self._stored_nbytes:
            raise ExampleError(
                f"has {stop - start} bytes of {self._name}, not {self._stored_nbytes}"
            )
        start += self._first
        self._bytes[row] = record.array[start : start + self._nbytes]


class _Strings:
    def __init__(self, feature: Feature, rows: int) -> None:
        self._name, self._is_text = feature.name, feature.kind == "text"
        self.array = np.empty(rows, object)

    def add(self, row: int, record: Scratch, start: int, stop: int) -> None:
        """Copies a picture, or decodes a text; see `Collector.add`."""
        start, stop = find_bytes(record.view, start, stop)
        content = bytes(record.view[start:stop])
        try:
            self.array[row] = str(content, "utf-8") if self._is_text else content
        except UnicodeDecodeError:
            raise ExampleError(f"has a {self._name} that is no UTF-8") from None


class _Integers:
    def __init__(self, feature: Feature, rows: int) -> None:
        self._name, self._is_list = feature.name, feature.kind == "classes"
        self.array = np.empty(rows, object if self._is_list else feature.dtype)

    def add(self, row: int, record: Scratch, start: int, stop: int) -> None:
        """Decodes one integer, or a list of class ids; see `Collector.add`."""
        numbers = read_integers(record.view, start, stop)
        if self._is_list:
            self.array[row] = np.array(numbers, np.int64)
            return
        try:
            (self.array[row],) = numbers
        except (ValueError, OverflowError):
            raise ExampleError(
                f"has {numbers} of {self._name}, not one {self.array.dtype}"
            ) from None
