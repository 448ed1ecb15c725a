from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from bigearthnet.engine.writers import TableWriter
from bigearthnet.schema.examples import Example
from bigearthnet.schema.features import Feature
from bigearthnet.util.files import DurableFile

SMALL = (
    Feature("number", "integer", ""),
    Feature("pixels", "tensor", "", dtype="uint16", shape=(2, 20, 20)),
)
SHARD = Path("arrow", "train", "data-00000-of-00001.arrow")


def write_small(folder: Path, count: int) -> Path:
    """Writes a shard of as many rows of SMALL, numbered from 0."""
    with DurableFile(folder, "small") as file:
        writer = TableWriter({"arrow": file}, SMALL)
        for n in range(count):
            writer.add({"number": n, "pixels": np.full((2, 20, 20), n, np.uint16)})
        writer.close()
        file.finish()
    return folder / "small"


def test_buffers_are_not_compressed(all_stores: Path) -> None:
    """Every buffer is read where it stands in the mapped file, without a copy."""
    with pa.memory_map(str(all_stores / SHARD)) as mapped:
        whole = mapped.read_buffer()
        table = pa.ipc.open_stream(whole).read_all()
        for name in table.column_names:
            for chunk in table[name].chunks:
                storage = getattr(chunk, "storage", chunk)
                for buffer in filter(None, storage.buffers()):
                    assert whole.address <= buffer.address
                    assert buffer.address + buffer.size <= whole.address + whole.size


def test_pixels_stand_in_the_file_as_they_are(
    all_stores: Path, sample_rows: list[Example]
) -> None:
    """The little-endian pixels of each patch are found in the bytes of a shard."""
    content = b"".join(
        path.read_bytes() for path in (all_stores / "arrow").rglob("*.arrow")
    )

    for row in sample_rows:
        for name in ("bands_10m", "bands_20m", "bands_60m"):
            pixels = np.ascontiguousarray(row[name], "<u2")
            assert 1 == content.count(pixels.tobytes())


@pytest.mark.parametrize(
    ("count", "batches"), [(1, [1]), (100, [100]), (201, [100, 100, 1])]
)
def test_record_batches_hold_a_hundred_rows(
    count: int, batches: list[int], tmp_path: Path
) -> None:
    """The file is an IPC stream; every batch but the last has 100 rows, in order."""
    content = write_small(tmp_path, count).read_bytes()
    found = list(pa.ipc.open_stream(content))

    assert batches == [batch.num_rows for batch in found]
    assert list(range(count)) == [
        n for batch in found for n in batch["number"].to_pylist()
    ]
    assert list(range(count)) == [
        int(np.unique(row).item())
        for batch in found
        for row in batch["pixels"].to_pylist()
    ]
    with pytest.raises(pa.ArrowInvalid):
        pa.ipc.open_file(content)
