"""Examples → Arrow tables, and back; typed as `datasets` types them, without it.

A change of the schema or of ROWS_PER_GROUP changes the bytes of every Parquet and Arrow
shard: bump the major version.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bigearthnet.errors import ShardError
from bigearthnet.schema.examples import Example
from bigearthnet.schema.features import Feature, hf_types, nest

# Rows of a Parquet row group and of an Arrow record batch: 16 MB of pixels. A reader
# that wants one row reads its group, and streaming readers keep a group in memory.
ROWS_PER_GROUP = 100

# The extension type that `datasets` registers for arrays of three axes, as it names
# it in Arrow schemas (datasets/features/features.py); elsewhere it reads as lists.
_EXTENSION = "datasets.features.features.Array3DExtensionType"
# Key of that name in the metadata of a field.
EXTENSION_KEY = b"ARROW:extension:name"


def make_arrow_schema(schema: tuple[Feature, ...]) -> pa.Schema:
    """Returns the Arrow schema of a table, with the types of `datasets` in it.

    Equal to the `arrow_schema` of `datasets.Features` once it is read back in a
    process that has `datasets` (tested).
    """
    types: dict[str, Any] = {feature.name: arrow_type(feature) for feature in schema}
    fields = [
        pa.field(name, _struct(kind)) if isinstance(kind, dict) else kind
        for name, kind in nest(types).items()
    ]
    info = {"info": {"features": hf_types(schema)}}
    return pa.schema(fields, metadata={"huggingface": json.dumps(info)})


def _struct(fields: dict[str, pa.Field]) -> pa.DataType:
    return pa.struct([field.with_name(name) for name, field in fields.items()])


def arrow_type(feature: Feature) -> pa.Field:
    """Returns the field that a feature is stored in, without its group."""
    value = pa.type_for_alias(feature.dtype)
    metadata = None
    match feature.kind:
        case "tensor" if len(feature.shape) == 3:
            kind = pa.list_(pa.list_(pa.list_(value)))
            parameters = json.dumps([list(feature.shape), feature.dtype])
            metadata = {
                EXTENSION_KEY: _EXTENSION,
                b"ARROW:extension:metadata": parameters,
            }
        case "tensor":
            kind = pa.list_(value, feature.shape[0])
        case "image":
            kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        case "text":
            kind = pa.string()
        case "class":
            kind = pa.int64()
        case "classes":
            kind = pa.list_(pa.int64())
        case _:
            kind = value
    return pa.field(feature.name, kind, metadata=metadata)


class TableBuilder:
    """Collects examples and makes them a table."""

    def __init__(self, schema: tuple[Feature, ...]) -> None:
        self._schema = schema
        self._arrow_schema = make_arrow_schema(schema)
        self._rows = 0
        self._tensors = {
            feature.name: np.empty((ROWS_PER_GROUP, *feature.shape), feature.dtype)
            for feature in schema
            if feature.kind == "tensor"
        }
        self._values: dict[str, list[Any]] = {
            feature.name: [] for feature in schema if feature.kind != "tensor"
        }

    def __len__(self) -> int:
        return self._rows

    @property
    def is_full(self) -> bool:
        """Whether the table must be taken before another example is added."""
        return self._rows == ROWS_PER_GROUP

    def add(self, example: Example) -> None:
        """Adds an example of the schema, copying its arrays."""
        for name, tensor in self._tensors.items():
            tensor[self._rows] = example[name]
        for name, values in self._values.items():
            values.append(example[name])
        self._rows += 1

    def take(self) -> pa.Table:
        """Returns the table of the examples added since the last call.

        Its tensors are valid until the next example is added.
        """
        rows, self._rows = self._rows, 0
        arrays: dict[str, Any] = {}
        for feature in self._schema:
            if feature.kind == "tensor":
                arrays[feature.name] = _list_array(self._tensors[feature.name][:rows])
            else:
                values = self._values[feature.name]
                arrays[feature.name] = _make_array(feature, values)
                values.clear()
        columns = [
            pa.StructArray.from_arrays(list(kind.values()), names=list(kind))
            if isinstance(kind, dict)
            else kind
            for kind in nest(arrays).values()
        ]
        return pa.table(columns, schema=self._arrow_schema)


def _list_array(tensor: npt.NDArray[Any]) -> pa.Array:
    """Returns a tensor of shape (row, …) as nested lists, without copying it."""
    array = pa.array(tensor.reshape(-1))
    if tensor.ndim == 2:
        return pa.FixedSizeListArray.from_arrays(array, tensor.shape[1])
    for axis in range(tensor.ndim - 1, 0, -1):
        count = int(np.prod(tensor.shape[:axis]))
        offsets = np.arange(count + 1, dtype=np.int32) * tensor.shape[axis]
        array = pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), array)
    return array


def _make_array(feature: Feature, values: list[Any]) -> pa.Array:
    kind = arrow_type(feature).type
    if feature.kind == "image":
        paths = pa.nulls(len(values), pa.string())
        return pa.StructArray.from_arrays(
            [pa.array(values, pa.binary()), paths], fields=list(kind)
        )
    return pa.array(values, kind)


def tensor_nbytes(feature: Feature) -> int:
    """Returns the bytes that a tensor takes in a table, for each row; else 0."""
    if feature.kind != "tensor":
        return 0
    lists = [math.prod(feature.shape[:axis]) for axis in range(len(feature.shape))]
    offsets = sum(lists) if len(lists) > 1 else 0
    values = math.prod(feature.shape) * np.dtype(feature.dtype).itemsize
    return values + 4 * offsets


def decode_feature(table: pa.Table, feature: Feature) -> npt.NDArray[Any]:
    """Returns a feature of a table as one array; see `decode_column`."""
    group, _, field = feature.name.partition("/")
    chunks = table[group].chunks
    if field:
        chunks = [chunk.field(field) for chunk in chunks]
    arrays = [decode_column(chunk, feature) for chunk in chunks]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def decode_column(array: pa.Array, feature: Feature) -> npt.NDArray[Any]:
    """Returns a column of a table as one array; the inverse of what a table is made of.

    Args:
        array: Some rows of the column; of the extension type of `datasets`, where that
            is imported, or of lists.
        feature: The column's feature; a field of a group has an array of its own.

    Returns:
        Shape (row, *feature.shape) and the feature's dtype for tensors, a read-only
        view of the column's memory; else shape (row,): int64 for `class`, the dtype of
        `integer` and `bool`, and objects for text (str), pictures (bytes) and
        `classes` (arrays of int64).

    Raises:
        ShardError: If a row has another size than the feature's shape, or the column's
            memory is damaged or has nulls.
    """
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    try:
        # Offsets and texts are followed blindly later on. Those of tensors are not,
        # but for the first and the last, and checking all would take too long.
        array.validate(full=feature.kind != "tensor")
        if array.null_count:
            raise pa.ArrowInvalid(f"{array.null_count} nulls")
    except pa.ArrowException as cause:
        raise ShardError.unreadable(f"column {feature.name}", cause) from None
    if feature.kind == "tensor":
        rows = len(array)
        while isinstance(array, pa.ListArray | pa.FixedSizeListArray):
            array = array.flatten()
        shape = (rows, *feature.shape)
        if len(array) != math.prod(shape):
            raise ShardError(
                f"column {feature.name} is damaged: expected {math.prod(shape)} values "
                f"of {rows} patches, got {len(array)}. Build or download it again."
            )
        return array.to_numpy().reshape(shape)
    if feature.kind == "image":
        array = array.field("bytes")
    if feature.kind == "classes":
        values = np.empty(len(array), object)
        bounds = array.offsets.to_numpy()
        flat = array.values.to_numpy()
        for row in range(len(array)):
            values[row] = flat[bounds[row] : bounds[row + 1]]
        return values
    return array.to_numpy(zero_copy_only=False)
