from __future__ import annotations

import pickle
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bigearthnet.errors import OptionError, ShardError, StoreError
from bigearthnet.huggingface import ArrowReader
from bigearthnet.reading import memory
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config

S2_COLUMNS = get_config("s2", RELEASES).columns


Arrays = dict[str, np.ndarray]
BANDS = ["bands_10m", "bands_20m", "bands_60m"]


@pytest.fixture
def reader(arrow_files: list[Path]) -> ArrowReader:
    """A reader of 25 patches in record batches of 4, 4, 2, 4, 4, 2, 4 and 1."""
    return ArrowReader.map_files(arrow_files, S2_COLUMNS)


def assert_equal(expected: Arrays, found: Arrays) -> None:
    """Compares columns, their types and what arrays of objects hold."""
    assert list(expected) == list(found)
    for name, values in expected.items():
        assert values.dtype == found[name].dtype, name
        if name in ("labels", "labels_19"):
            assert [v.tolist() for v in values] == [v.tolist() for v in found[name]]
            assert {np.dtype("int64")} >= {v.dtype for v in found[name]}
        else:
            np.testing.assert_array_equal(values, found[name], err_msg=name)


def take(expected: Arrays, rows: Any) -> Arrays:
    """Takes some rows of every column."""
    return {name: values[rows] for name, values in expected.items()}


@pytest.mark.parametrize("batch_size", [1, 3, 4, 7, 25, 100])
def test_batches_hold_all_patches_in_order(
    batch_size: int, reader: ArrowReader, expected: Arrays
) -> None:
    """Batches have every column of each patch once, across record batches too."""
    batches = list(reader.batches(batch_size))

    assert 25 == len(reader)
    assert -(-25 // batch_size) == len(batches)
    for number, batch in enumerate(batches):
        rows = slice(number * batch_size, (number + 1) * batch_size)
        assert_equal(take(expected, rows), batch)


def test_batches_within_a_record_batch_are_views(reader: ArrowReader) -> None:
    """Pixels and vectors are views of the mapped file that cannot be written to."""
    names = [*BANDS, "multi_hot_43", "multi_hot_19"]
    first = next(reader.batches(4, names))
    again = next(reader.batches(2, names))

    for name in names:
        assert np.shares_memory(first[name], again[name])
        assert not first[name].flags.writeable


def test_batches_across_record_batches_are_copies(reader: ArrowReader) -> None:
    """A batch that lies in two record batches is new memory."""
    whole = next(reader.batches(4, BANDS))
    across = next(reader.batches(5, BANDS))

    for name in BANDS:
        assert not np.shares_memory(whole[name], across[name])


@pytest.mark.parametrize("name", [feature.name for feature in S2_COLUMNS])
def test_what_a_caller_does_to_a_batch_stays_there(
    name: str, reader: ArrowReader, expected: Arrays
) -> None:
    """A batch is read-only or the caller's own: later batches do not change."""
    batch = next(reader.batches(4, [name]))
    if batch[name].flags.writeable:
        batch[name][:] = np.roll(batch[name], 1)

    assert_equal({name: expected[name][:4]}, next(reader.batches(4, [name])))


@pytest.mark.parametrize(
    "indices", [[0], [24, 0, 13], [5, 5, 5], [], list(range(24, -1, -1))]
)
def test_gather_takes_patches_in_any_order(
    indices: list[int], reader: ArrowReader, expected: Arrays
) -> None:
    """Indices may be in any order and repeated; arrays of NumPy are as good."""
    rows = np.array(indices, np.int64)

    assert_equal(take(expected, rows), reader.gather(indices))
    assert_equal(take(expected, rows), reader.gather(rows.astype(np.int32)))


def test_gathered_arrays_are_the_callers_own(
    reader: ArrowReader, expected: Arrays
) -> None:
    """What is gathered can be written to without changing the reader."""
    reader.gather([1], ["bands_20m"])["bands_20m"][:] = 0

    found = reader.gather([1], ["bands_20m"])
    assert_equal({"bands_20m": expected["bands_20m"][[1]]}, found)


@pytest.mark.parametrize("index", [-1, 25, 10**6])
def test_an_index_out_of_range_is_refused(index: int, reader: ArrowReader) -> None:
    """The error names the index and the range."""
    with pytest.raises(IndexError, match=f"no patch {index}: expected 0 to 24"):
        reader.gather([0, index], ["patch_id"])


@pytest.mark.parametrize("indices", [[True, False], np.ones(25, bool), [0.5]])
def test_indices_that_are_no_integers_are_refused(
    indices: Any, reader: ArrowReader
) -> None:
    """A mask or a fraction is not silently taken for row 0 and 1."""
    with pytest.raises((IndexError, TypeError, OptionError)):
        reader.gather(indices, ["patch_id"])


def test_only_the_columns_asked_for_come(reader: ArrowReader, expected: Arrays) -> None:
    """Columns come in the order asked, coordinates field by field."""
    names = ["coordinates/uly", "bands_60m", "coordinates/ulx", "epsg"]

    assert names == list(next(reader.batches(2, names)))
    assert names == list(reader.gather([3], names))
    assert_equal(
        {name: expected[name][[3]] for name in names}, reader.gather([3], names)
    )


@pytest.mark.parametrize("name", ["B10", "coordinates", "coordinates/x", ""])
def test_an_unknown_column_is_refused(name: str, reader: ArrowReader) -> None:
    """The error names the column and those that there are."""
    with pytest.raises(OptionError, match=f"no column '{name}': .*coordinates/ulx"):
        reader.gather([0], [name])
    with pytest.raises(OptionError, match=f"no column '{name}'"):
        next(reader.batches(1, ["epsg", name]))


@pytest.mark.parametrize("batch_size", [0, -3])
def test_a_batch_size_below_one_is_refused(
    batch_size: int, reader: ArrowReader
) -> None:
    """The error names the size."""
    with pytest.raises(OptionError, match=f"at least 1, got {batch_size}"):
        next(reader.batches(batch_size))


def test_a_patch_is_found_by_its_id(reader: ArrowReader, expected: Arrays) -> None:
    """`find` gives the index, `patch` all columns without the axis of patches."""
    patch = reader.patch("patch-17")

    assert list(range(25)) == [reader.find(f"patch-{n:02d}") for n in range(25)]
    assert set(expected) == set(patch)
    assert (4, 120, 120) == patch["bands_10m"].shape
    np.testing.assert_array_equal(expected["bands_60m"][17], patch["bands_60m"])
    assert "patch-17" == patch["patch_id"]
    assert 6_000_017 == patch["coordinates/uly"]


@pytest.mark.parametrize("patch_id", ["patch-25", "", "patch"])
def test_an_unknown_patch_is_refused(patch_id: str, reader: ArrowReader) -> None:
    """The error names the id and how many patches there are."""
    with pytest.raises(OptionError, match=f"no patch '{patch_id}' among these 25"):
        reader.patch(patch_id)


def test_a_patch_of_another_release_is_named(reader: ArrowReader) -> None:
    """An id of v2.0 is told from one that was mistyped."""
    with pytest.raises(OptionError, match=r"This is BigEarthNet v2\.0"):
        reader.find("S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_26_57")


def test_shuffled_batches_are_complete_and_repeatable(
    reader: ArrowReader, expected: Arrays
) -> None:
    """Each epoch and seed has its own order of all patches."""

    def read(seed: int | None, epoch: int) -> list[str]:
        batches = reader.batches(7, ["patch_id"], shuffle=True, seed=seed, epoch=epoch)
        return [name for batch in batches for name in batch["patch_id"]]

    orders = [read(0, 0), read(0, 1), read(1, 0), read(None, 0), read(None, 0)]

    assert [sorted(expected["patch_id"])] * 5 == [sorted(order) for order in orders]
    assert 5 == len({tuple(order) for order in orders})
    assert orders[1] == read(0, 1)


def test_shuffled_batches_keep_columns_together(
    reader: ArrowReader, expected: Arrays
) -> None:
    """All columns of a shuffled batch are of the same patches."""
    for batch in reader.batches(7, shuffle=True, seed=2):
        rows = [int(name[-2:]) for name in batch["patch_id"]]

        assert_equal(take(expected, rows), batch)


def test_a_reader_goes_to_another_process(
    reader: ArrowReader, expected: Arrays
) -> None:
    """A pickled reader maps the same files again, and is small."""
    next(reader.batches(4))
    content = pickle.dumps(reader)

    assert 10_000 > len(content)
    assert_equal(take(expected, [24, 3]), pickle.loads(content).gather([24, 3]))


def test_a_store_is_opened_by_split(all_stores: Path) -> None:
    """`open` maps a split of the data directory; errors say what is there."""
    assert [4, 1, 1] == [
        len(ArrowReader.open(split, all_stores))
        for split in ("train", "test", "excluded")
    ]
    with pytest.raises(OptionError, match=r"'validation'.*train, test, excluded"):
        ArrowReader.open("validation", str(all_stores))
    with pytest.raises(StoreError, match="arrow-random"):
        ArrowReader.open("train", all_stores, "s2-random")


def test_the_data_directory_of_tfds_is_the_default(
    many_shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a data directory, $TFDS_DATA_DIR is read, all shards in their order."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(many_shards))
    found = ArrowReader.open("train")
    same = ArrowReader.open("train", many_shards)

    assert_equal(next(same.batches(9)), next(found.batches(9)))


@pytest.mark.parametrize("keep", [0.0, 0.001, 0.3, 0.5, 0.7, 0.9])
def test_a_damaged_file_is_named(
    keep: float, arrow_files: list[Path], tmp_path: Path
) -> None:
    """A file that was cut anywhere is a ShardError that names it."""
    content = arrow_files[1].read_bytes()
    damaged = tmp_path / "damaged.arrow"
    damaged.write_bytes(content[: int(keep * len(content))])

    with pytest.raises(ShardError, match=r"damaged\.arrow cannot be read"):
        ArrowReader.map_files([arrow_files[0], damaged], S2_COLUMNS)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    """What is not an Arrow stream is a ShardError; a stream of others' columns, too."""
    import pyarrow as pa

    (tmp_path / "text.arrow").write_text("patch_id,labels\n" * 100)
    with pa.ipc.new_stream(
        str(tmp_path / "other.arrow"), pa.schema([("a", "int8")])
    ) as writer:
        writer.write_table(pa.table({"a": pa.array([1], "int8")}))

    with pytest.raises(ShardError, match=r"text\.arrow cannot be read"):
        ArrowReader.map_files([tmp_path / "text.arrow"], S2_COLUMNS)
    with pytest.raises(OptionError, match=r"no column of BigEarthNet.*\['a'\]"):
        ArrowReader.map_files([tmp_path / "other.arrow"], S2_COLUMNS)


def test_a_store_is_read_without_datasets(
    arrow_files: list[Path], expected: Arrays
) -> None:
    """Where `datasets` cannot be imported, pixels are the same."""
    code = """
        import sys
        sys.modules["datasets"] = None
        from pathlib import Path
        from bigearthnet.huggingface import ArrowReader
        from bigearthnet.release import RELEASES
        from bigearthnet.schema.configs import get_config
        paths = [Path(path) for path in sys.argv[1:]]
        reader = ArrowReader.map_files(paths, get_config("s2", RELEASES).columns)
        batch = reader.gather([3, 24])
        sums = [int(batch[f"bands_{size}m"].sum()) for size in (10, 20, 60)]
        print(*sums, *batch["patch_id"], *map(len, batch["labels"]))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arrow_files)],
        capture_output=True,
        text=True,
        check=False,
    )
    sums = [expected[name][[3, 24]].astype(np.int64).sum() for name in BANDS]

    assert 0 == done.returncode, done.stderr
    assert [*map(str, sums), "patch-03", "patch-24", "3", "0"] == done.stdout.split()


@pytest.mark.parametrize("shuffle", [False, True])
def test_two_threads_copy_what_one_does(
    shuffle: bool, reader: ArrowReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches that are copied by two threads are the same."""
    options: dict[str, Any] = {"shuffle": shuffle, "seed": 3}
    expected = list(reader.batches(7, BANDS, **options))
    monkeypatch.setattr(memory, "_PARALLEL_NBYTES", 1)
    found = list(reader.batches(7, BANDS, **options))

    assert 4 == len(expected)
    for one, other in zip(expected, found, strict=True):
        assert_equal(one, other)
