from __future__ import annotations

from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bigearthnet.engine.writers import TableWriter, TFRecordWriter, make_writers
from bigearthnet.formats import FORMATS, columns
from bigearthnet.formats.tfrecord.encode import make_encoder
from bigearthnet.formats.tfrecord.framing import read_records
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from bigearthnet.schema.examples import Example
from bigearthnet.util.files import DurableFile, FileInfo

S2 = get_config("s2", RELEASES)

RGB_SCHEMA = get_config("s2-rgb", RELEASES).schema

S2_SCHEMA = S2.schema


def write(
    examples: list[Example], folder: Path, formats: tuple[str, ...] = tuple(FORMATS)
) -> dict[str, FileInfo]:
    """Writes one shard in some formats; returns format → its file, named so."""
    with ExitStack() as stack:
        files = {f: stack.enter_context(DurableFile(folder, f)) for f in formats}
        writers = make_writers(files, S2)
        for example in examples:
            for writer in writers:
                writer.add(example)
        for writer in writers:
            writer.close()
        return {form: file.finish() for form, file in files.items()}


def read_arrow(path: Path) -> pa.Table:
    """The table of an Arrow shard."""
    return pa.ipc.open_stream(path.read_bytes()).read_all()


def to_example(row: dict[str, Any]) -> Example:
    """Makes a row of a table the example of S2_SCHEMA that it came from."""
    example: Example = {}
    for feature in S2_SCHEMA:
        group, _, field = feature.name.rpartition("/")
        value = row[group][field] if group else row[feature.name]
        if feature.kind == "tensor":
            value = np.array(value, feature.dtype)
        example[feature.name] = tuple(value) if feature.kind == "classes" else value
    return example


@pytest.mark.parametrize("rows_per_group", [4, 100])
def test_all_formats_hold_the_same_examples(
    rows_per_group: int,
    fake_rows: list[Example],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Records, Parquet rows and Arrow rows say the same, value by value, in order."""
    monkeypatch.setattr(columns, "ROWS_PER_GROUP", rows_per_group)
    write(fake_rows, tmp_path)
    encode = make_encoder(S2_SCHEMA)
    records = list(read_records(tmp_path / "tfrecord", len(fake_rows)))
    parquet, arrow = pq.read_table(tmp_path / "parquet"), read_arrow(tmp_path / "arrow")

    assert [encode(row) for row in fake_rows] == records
    for table in (parquet, arrow):
        assert records == [encode(to_example(row)) for row in table.to_pylist()]
        assert [row["preview"] for row in fake_rows] == [
            preview["bytes"] for preview in table["preview"].to_pylist()
        ]


def test_groups_end_at_the_same_rows(
    fake_rows: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full table becomes a row group and a record batch at once; so does the rest."""
    monkeypatch.setattr(columns, "ROWS_PER_GROUP", 4)
    write(fake_rows, tmp_path)
    footer = pq.read_metadata(tmp_path / "parquet")
    batches = pa.ipc.open_stream((tmp_path / "arrow").read_bytes())

    assert [4, 2] == [footer.row_group(i).num_rows for i in range(2)]
    assert [4, 2] == [batch.num_rows for batch in batches]


def test_a_format_does_not_depend_on_the_others(
    fake_rows: list[Example], tmp_path: Path
) -> None:
    """Each format written alone has the bytes that it has beside the others."""
    together = write(fake_rows, tmp_path)
    alone = {}
    for form in FORMATS:
        (tmp_path / "alone" / form).mkdir(parents=True)
        alone |= write(fake_rows, tmp_path / "alone" / form, (form,))

    assert together == alone


def test_bytes_of_the_examples_are_counted(
    fake_rows: list[Example], tmp_path: Path
) -> None:
    """A record counts without its frame, a row as the table that it is part of."""
    infos = write(fake_rows, tmp_path)
    encode = make_encoder(S2_SCHEMA)

    assert sum(len(encode(row)) for row in fake_rows) == infos["tfrecord"].data_nbytes
    assert infos["parquet"].data_nbytes == infos["arrow"].data_nbytes
    assert read_arrow(tmp_path / "arrow").nbytes == infos["arrow"].data_nbytes


@pytest.mark.parametrize(
    ("formats", "kinds"),
    [
        (("tfrecord",), [TFRecordWriter]),
        (("parquet",), [TableWriter]),
        (("arrow", "parquet"), [TableWriter]),
        (("arrow", "tfrecord"), [TFRecordWriter, TableWriter]),
    ],
)
def test_only_asked_formats_are_written(
    formats: tuple[str, ...],
    kinds: list[type],
    fake_rows: list[Example],
    tmp_path: Path,
) -> None:
    """There is one writer for records and one for all tables, and no other file."""
    with ExitStack() as stack:
        files = {f: stack.enter_context(DurableFile(tmp_path, f)) for f in formats}
        found = [type(writer) for writer in make_writers(files, S2)]
    write(fake_rows[:1], tmp_path, formats)

    assert kinds == found
    assert set(formats) == {path.name for path in tmp_path.iterdir()}


def test_records_hold_no_preview(fake_rows: list[Example], tmp_path: Path) -> None:
    """A row that has more than the schema becomes the record of the schema."""
    write(fake_rows[:1], tmp_path, ("tfrecord",))
    (data,) = read_records(tmp_path / "tfrecord", 1)

    assert b"preview" not in data
    assert b"image" not in data
    assert {"image"} == {f.name for f in RGB_SCHEMA} - {f.name for f in S2_SCHEMA}


def test_examples_are_kept_until_a_group_is_full(
    fake_rows: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table is written as soon as it is full, and not before."""
    monkeypatch.setattr(columns, "ROWS_PER_GROUP", 3)
    with DurableFile(tmp_path, "arrow") as file:
        writer = TableWriter({"arrow": file}, S2.columns)
        sizes = [file.data_nbytes]
        for row in fake_rows:
            writer.add(row)
            sizes.append(file.data_nbytes)

    assert [3, 6] == [n for n, (a, b) in enumerate(pairwise(sizes), 1) if a != b]
