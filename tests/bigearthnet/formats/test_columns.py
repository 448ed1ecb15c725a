from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from bigearthnet.errors import ShardError
from bigearthnet.formats import columns
from bigearthnet.formats.columns import (
    TableBuilder,
    decode_column,
    make_arrow_schema,
)
from bigearthnet.release import RELEASES
from bigearthnet.release.bands import BANDS, GROUPS
from bigearthnet.schema.configs import get_config
from bigearthnet.schema.examples import Example
from bigearthnet.schema.features import Feature, hf_types

S2_COLUMNS = get_config("s2", RELEASES).columns

SMALL = (
    Feature("n", "integer", ""),
    Feature("group/x", "text", ""),
    Feature("group/y", "bool", "", dtype="bool"),
    Feature("cube", "tensor", "", dtype="uint16", shape=(2, 1, 3)),
    Feature("vector", "tensor", "", dtype="uint8", shape=(2,)),
)


def make_small(n: int) -> Example:
    """An example of SMALL in which every value tells n and its place."""
    return {
        "n": n,
        "group/x": f"text {n}",
        "group/y": n % 2 == 1,
        "cube": np.arange(6, dtype=np.uint16).reshape(2, 1, 3) + 10 * n,
        "vector": np.array([n, 100 + n], np.uint8),
    }


def expected_small(n: int) -> dict[str, object]:
    """The row of `make_small(n)`."""
    first, second = [[10 * n + i + j for j in range(3)] for i in (0, 3)]
    return {
        "n": n,
        "group": {"x": f"text {n}", "y": n % 2 == 1},
        "cube": [[first], [second]],
        "vector": [n, 100 + n],
    }


def take(builder: TableBuilder, examples: Sequence[Example]) -> pa.Table:
    """The table of some examples."""
    for example in examples:
        builder.add(example)
    return builder.take()


def round_trip(schema: pa.Schema) -> pa.Schema:
    """The schema as a reader of an IPC stream finds it."""
    buffer = pa.BufferOutputStream()
    pa.ipc.new_stream(buffer, schema).close()
    return pa.ipc.open_stream(buffer.getvalue()).schema


def test_the_schema_is_that_of_datasets() -> None:
    """Read where `datasets` is imported, types and metadata are those it would write.

    Every name, type, nullability and byte of metadata counts.
    """
    import datasets

    expected = datasets.Features.from_dict(hf_types(S2_COLUMNS)).arrow_schema

    found = round_trip(make_arrow_schema(S2_COLUMNS))

    assert expected.names == found.names
    assert expected.types == found.types
    assert expected.metadata == found.metadata
    assert expected.equals(found, check_metadata=True)


def test_the_schema_holds_the_types_of_datasets() -> None:
    """The schema's metadata give `datasets` the types, whoever imported it."""
    metadata = make_arrow_schema(S2_COLUMNS).metadata

    assert [b"huggingface"] == list(metadata)
    assert {"info": {"features": hf_types(S2_COLUMNS)}} == json.loads(
        metadata[b"huggingface"]
    )


def test_plain_types_are_for_everybody() -> None:
    """Without `datasets`, pixels are nested lists, vectors fixed and classes int64."""
    schema = make_arrow_schema(S2_COLUMNS)
    nested = pa.list_(pa.list_(pa.list_(pa.uint16())))

    assert {
        "bands_10m": nested,
        "bands_60m": nested,
        "labels": pa.list_(pa.int64()),
        "multi_hot_19": pa.list_(pa.uint8(), 19),
        "patch_id": pa.string(),
        "country": pa.int64(),
        "epsg": pa.int32(),
        "contains_seasonal_snow": pa.bool_(),
        "preview": pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
        "coordinates": pa.struct(
            [(name, pa.int64()) for name in ("ulx", "uly", "lrx", "lry")]
        ),
    } == {
        name: schema.field(name).type
        for name in (
            *("bands_10m", "bands_60m", "labels", "multi_hot_19", "patch_id"),
            *("country", "epsg", "contains_seasonal_snow", "preview", "coordinates"),
        )
    }


def test_pixels_are_those_of_the_patches(fake_rows: list[Example]) -> None:
    """Every pixel of a table stands at its own row, band, y and x."""
    table = take(TableBuilder(S2_COLUMNS), fake_rows)
    for group in GROUPS:
        found = np.array(table[group.name].to_pylist())
        number, band, y, x = np.indices((len(fake_rows), *group.shape))
        place = np.array([BANDS.index(b) for b in group.bands])[band]
        expected = 5000 * number + 400 * place + 2 * y + x

        assert np.array_equal(expected, found)


def test_a_table_gives_the_examples_back(fake_rows: list[Example]) -> None:
    """Texts, numbers, labels, vectors, fields of groups and preview are the same."""
    table = take(TableBuilder(S2_COLUMNS), fake_rows)
    found = table.drop_columns([group.name for group in GROUPS]).to_pylist()

    expected: list[dict[str, object]] = []
    for row in fake_rows:
        value = {
            feature.name: row[feature.name]
            for feature in S2_COLUMNS
            if not feature.name.startswith(("bands_", "multi_hot", "coordinates"))
        }
        for name in ("multi_hot_43", "multi_hot_19"):
            value[name] = np.asarray(row[name]).tolist()
        value["preview"] = {"bytes": row["preview"], "path": None}
        value["labels"], value["labels_19"] = (
            list(row[name]) for name in ("labels", "labels_19")
        )
        value["coordinates"] = {
            field: row[f"coordinates/{field}"] for field in ("ulx", "uly", "lrx", "lry")
        }
        expected.append(value)
    assert expected == found
    assert [300_000 + n for n in range(6)] == [r["coordinates"]["ulx"] for r in found]
    names = dict.fromkeys(f.name.partition("/")[0] for f in S2_COLUMNS)
    assert list(names) == table.column_names


def test_a_builder_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full table and a short one after it hold their own examples, none of before."""
    monkeypatch.setattr(columns, "ROWS_PER_GROUP", 3)
    builder = TableBuilder(SMALL)
    found = []
    for numbers in ((1, 2, 3), (4, 5, 6), (7,)):
        found.append(take(builder, [make_small(n) for n in numbers]).to_pylist())

    assert [
        [expected_small(n) for n in numbers] for numbers in ((1, 2, 3), (4, 5, 6), (7,))
    ] == found


def test_a_builder_says_when_it_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts examples until the table is taken."""
    monkeypatch.setattr(columns, "ROWS_PER_GROUP", 2)
    builder = TableBuilder(SMALL)
    states = [(len(builder), builder.is_full)]
    for number in range(2):
        builder.add(make_small(number))
        states.append((len(builder), builder.is_full))
    builder.take()
    states.append((len(builder), builder.is_full))

    assert [(0, False), (1, False), (2, True), (0, False)] == states


def test_arrays_are_copied() -> None:
    """A caller may change an example's arrays as soon as it was added."""
    builder, example = TableBuilder(SMALL), make_small(5)
    builder.add(example)
    example["cube"][:] = 0  # type: ignore[index, call-overload]

    assert [expected_small(5)] == builder.take().to_pylist()


def test_a_table_is_valid_arrow(fake_rows: list[Example]) -> None:
    """Arrow's own full check finds nothing wrong, and no value is missing."""
    table = take(TableBuilder(S2_COLUMNS), fake_rows)
    table.validate(full=True)

    assert {0} == {column.null_count for column in table.columns}
    assert {1} == {column.num_chunks for column in table.columns}


def test_groups_hold_a_hundred_rows() -> None:
    """The rows of a group are those of version 2.0.0."""
    assert 100 == columns.ROWS_PER_GROUP


def make_damaged(kind: str) -> tuple[pa.Array, str]:
    """An array whose memory is damaged, and the feature that it should be.

    pyarrow checks arrays when they are made: the damage is done afterwards.
    """
    ends = np.array([0, 1, 2], np.int32)
    offsets, texts = pa.py_buffer(ends), np.frombuffer(b"ab", np.uint8).copy()
    name = {"texts": "patch_id", "ids": "labels", "pixels": "bands_60m"}.get(
        kind.split()[-1], "epsg"
    )
    if name == "patch_id":
        buffers = [None, offsets, pa.py_buffer(texts)]
        array = pa.Array.from_buffers(pa.string(), 2, buffers)
    elif name == "epsg":
        array = pa.array([1, None], pa.int32())
    else:
        values = pa.array([1, 2], pa.int64())
        if name == "bands_60m":
            values = pa.array([[[1]], [[2]]], pa.list_(pa.list_(pa.uint16())))
        kind_of = pa.list_(values.type)
        array = pa.Array.from_buffers(kind_of, 2, [None, offsets], children=[values])
    if kind.startswith("offsets"):
        ends[2] = 2**30
    elif kind.startswith("bytes"):
        texts[1] = 0xFF  # no UTF-8
    return array, name


@pytest.mark.parametrize(
    "kind",
    [
        "offsets of texts",
        "bytes of texts",
        "offsets of class ids",
        "offsets of pixels",
        "nulls",
    ],
)
def test_damaged_memory_is_an_error(kind: str) -> None:
    """Offsets that point elsewhere are found before they are followed."""
    array, name = make_damaged(kind)
    (feature,) = [feature for feature in S2_COLUMNS if feature.name == name]

    with pytest.raises(ShardError, match=f"column {name} cannot be read"):
        decode_column(array, feature)
